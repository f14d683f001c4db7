"""Packed states of many rows in one array: the same bytes as the rows hold, whatever the server answers."""

from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from valkey_server import ValkeyServer, single

from tastemaker.features.stores.opening import open_online_store
from tastemaker.features.stores.protocol import PackedReader, PackedStates, StoreUnavailable
from tastemaker.features.stores.redis_reply import parse

VIEW = "by_user@1"


@pytest.fixture
def server(tmp_path: Path):
    with single(tmp_path) as server:
        yield server


def location(server: ValkeyServer) -> str:
    return f"redis://127.0.0.1:{server.port}/0"


def filled(server: ValkeyServer, states: dict[str, bytes]):
    store = open_online_store(location(server))
    with store.transaction() as tx:
        tx.put(VIEW, list(states), [1] * len(states), list(states.values()))
    return store, store.reader()


def test_states_of_an_sqlite_file_equal_its_rows(tmp_path: Path) -> None:
    states = {"u1": words(4, 1), "ünï": words(8, 2), "nul\x00": words(4, 3), "empty": b""}
    with closing(open_online_store(tmp_path / "online.sqlite")) as store:
        with store.transaction() as tx:
            tx.put(VIEW, list(states), [1] * len(states), list(states.values()))
        reader = store.reader()
        assert isinstance(reader, PackedReader)
        for keys in (["nobody", *states, "u1"], ["u1", "nobody"], []):
            rows = [row.state if row else b"" for row in reader.rows(VIEW, keys)]
            assert unpacked(reader.packed_states(VIEW, keys)) == rows == [states.get(key, b"") for key in keys]
        assert unpacked(reader.packed_states("unknown@1", ["u1"])) == [b""]


def unpacked(packed: PackedStates | None) -> list[bytes]:
    assert packed is not None
    ends = packed.offsets.tolist()
    return [packed.words[begin:end].tobytes() for begin, end in pairwise(ends)]


def words(count: int, seed: int) -> bytes:
    return np.random.default_rng(seed).integers(-(2**62), 2**62, count).tobytes()


def test_states_equal_the_rows_also_of_odd_keys_and_of_unknown_ones(server: ValkeyServer) -> None:
    states = {"u1": words(4, 1), "ünï": words(8, 2), "with space": words(4, 3), "\r\n$-1": words(4, 4), "empty": b""}
    store, reader = filled(server, states)
    assert isinstance(reader, PackedReader)
    keys = ["nobody", *states, "u1"]
    rows = [row.state if row else b"" for row in reader.rows(VIEW, keys)]
    assert unpacked(reader.packed_states(VIEW, keys)) == rows == [b"", *states.values(), states["u1"]]
    assert unpacked(reader.packed_states("unknown@1", ["u1"])) == [b""]
    store.close()


def test_answers_larger_than_the_buffer_arrive_whole(server: ValkeyServer) -> None:
    # 40 rows of 80,000 words are 25 MB; the buffer begins with 1 MiB, and a large one is not kept.
    states = {f"u{number}": words(80_000, number) for number in range(40)}
    store, reader = filled(server, states)
    for _ in range(2):
        assert unpacked(reader.packed_states(VIEW, list(states))) == list(states.values())
        assert unpacked(reader.packed_states(VIEW, ["u7", "none"])) == [states["u7"], b""]
    store.close()


def test_rows_of_several_ids_are_left_to_the_client_library(server: ValkeyServer) -> None:
    store, reader = filled(server, {"u1\x1fi1": words(4, 1)})
    assert reader.packed_states(VIEW, ["u1\x1fi1"]) is None
    assert reader.packed_states(VIEW, []) is None
    store.close()


def test_a_server_that_was_restarted_is_read_again(server: ValkeyServer) -> None:
    store, reader = filled(server, {"u1": words(4, 1)})
    assert unpacked(reader.packed_states(VIEW, ["u1"])) == [words(4, 1)]
    server.kill()
    assert reader.packed_states(VIEW, ["u1"]) is None
    with pytest.raises(StoreUnavailable, match="does not serve"):
        reader.rows(VIEW, ["u1"])
    server.start()
    assert unpacked(reader.packed_states(VIEW, ["u1"])) == [words(4, 1)]
    store.close()


def test_an_error_of_the_server_is_left_to_the_client_library(server: ValkeyServer) -> None:
    store, reader = filled(server, {"u1": words(4, 1)})
    assert reader.packed_states(VIEW, ["u1"]) is not None
    server.client().execute_command("ACL SETUSER default -mget")
    assert reader.packed_states(VIEW, ["u1"]) is None
    server.client().execute_command("ACL SETUSER default +mget")
    assert unpacked(reader.packed_states(VIEW, ["u1"])) == [words(4, 1)]
    store.close()


def test_an_answer_in_any_pieces_parses_alike() -> None:
    answer = b"$5\r\nhello\r\n$-1\r\n$0\r\n\r\n$12\r\nline\r\n$-1\r\n!\r\n"
    for cut in range(len(answer) + 1):
        begins, ends = np.empty(4, np.int64), np.empty(4, np.int64)
        buffer = np.frombuffer(bytearray(answer), np.uint8)
        at, found, needed = parse(buffer, cut, 0, 0, begins, ends)
        assert cut == len(answer) or needed > cut
        at, found, needed = parse(buffer, len(answer), at, found, begins, ends)
        assert (at, found) == (len(answer), 4)
        values = [answer[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
        assert values == [b"hello", b"", b"", b"line\r\n$-1\r\n!"]


@pytest.mark.parametrize("answer", [b"-ERR no\r\n", b":5\r\n", b"$x\r\n", b"$5x\r\nhello\r\n"])
def test_what_is_no_value_is_said(answer: bytes) -> None:
    found = parse(
        np.frombuffer(bytearray(answer), np.uint8), len(answer), 0, 0, np.empty(1, np.int64), np.empty(1, np.int64)
    )
    assert found[0] == -1
