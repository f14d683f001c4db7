"""Files that several processes change: whole or not at all, one writer at a time."""

import os
import threading

import msgspec
import pytest

from tastemaker.durable import locked, read_record, replace_file
from tastemaker.errors import DataError


class Pointer(msgspec.Struct):
    release: str


def test_replaced_file_has_the_new_content_and_is_its_owners_alone(tmp_path):
    path = tmp_path / "keys.json"
    path.write_bytes(b"old")
    path.chmod(0o644)
    replace_file(path, b"new")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o600)
    assert os.listdir(tmp_path) == ["keys.json"]


def test_file_that_cannot_be_replaced_stays_and_leaves_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "keys.json"
    path.write_bytes(b"old")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["keys.json"]


def test_second_holder_of_a_lock_waits_for_the_first(tmp_path):
    order, begun = [], threading.Event()

    def second():
        begun.set()
        with locked(tmp_path / ".lock"):
            order.append("second")

    waiting = threading.Thread(target=second)
    with locked(tmp_path / ".lock"):
        waiting.start()
        assert begun.wait(10)
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]


def test_record_is_none_before_it_is_written_and_then_what_was_written(tmp_path):
    path = tmp_path / "pointer.json"
    assert read_record(path, Pointer, "remove it") is None
    replace_file(path, msgspec.json.encode(Pointer("r1")))
    assert read_record(path, Pointer, "remove it") == Pointer("r1")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"release": 1}', b"\xff"])
def test_damaged_record_is_an_error_with_file_and_remedy(tmp_path, content):
    path = tmp_path / "pointer.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"pointer\.json is damaged \(.*\); remove it$"):
        read_record(path, Pointer, "remove it")
