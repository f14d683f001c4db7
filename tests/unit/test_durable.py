"""Files that several processes change: whole or not at all, one writer at a time."""

import os
import threading

import pytest

from tastemaker.durable import locked, replace_file


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
