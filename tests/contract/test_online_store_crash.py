"""Writers and servers that die in the middle: rows and positions agree, and nothing is counted twice."""

import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import counting_writer
import pytest
from counting_writer import KEYS, TOPIC, VIEW, count_once, decode, event_digest, take_over
from valkey_server import ValkeyServer, single

from tastemaker.features.stores.opening import open_online_reader, open_online_store
from tastemaker.features.stores.protocol import OnlineStore, StoreConflict, StoreUnavailable, WriterFenced
from tastemaker.features.stores.redis import RedisStore


def check_counts(store: OnlineStore, location: Path | str) -> int:
    """Every row holds every batch once: sums are 0 + 1 + … + (n − 1) after n batches."""
    reader = open_online_reader(location)
    position = reader.positions(TOPIC).get(0, 0)
    expected = (position, position * (position - 1) // 2)
    assert [decode(row and row.state) for row in reader.rows(VIEW, KEYS)] == [expected] * len(KEYS)
    reader.close()
    with store.transaction() as tx:
        digests = [event_digest(number) for number in range(position)]
        assert tx.register(digests, [0] * position, range(position)) == [True] * position
    return position


def test_killed_writers_leave_rows_and_positions_in_agreement(shared_location: Path | str) -> None:
    random.seed(7)
    positions = [0]
    for _ in range(4):
        command = [sys.executable, counting_writer.__file__, str(shared_location)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            while open_position(shared_location) == positions[-1]:  # it works, whatever the machine's load
                time.sleep(0.005)
            time.sleep(random.uniform(0, 0.1))
            writer.kill()
        if isinstance(shared_location, Path):  # one transaction: nothing to do again
            reader = open_online_reader(shared_location)
            rows = {decode(row and row.state)[0] for row in reader.rows(VIEW, KEYS)}
            assert rows == {reader.positions(TOPIC)[0]}
            reader.close()
        successor = take_over(shared_location)
        count_once(successor)
        positions.append(check_counts(successor, shared_location))
        successor.close()
    assert positions == sorted(set(positions))


def open_position(location: Path | str) -> int:
    reader = open_online_reader(location)
    position = reader.positions(TOPIC).get(0, 0)
    reader.close()
    return position


@pytest.mark.parametrize("kind", ["redis", "cluster"])
def test_failure_between_any_two_steps_is_made_good(
    redis_location: Callable[[str], str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = redis_location(kind)
    reader = open_online_reader(location)
    failed = 0
    while True:
        dying = RedisStore(location)
        dying.claim(TOPIC, [0])
        rev = reader.changes(VIEW, 0).rev
        send, left = dying._link._send, [failed]

        def send_or_die(commands: Sequence[Any], send: Any = send, left: list[int] = left) -> list[Any]:
            half = len(commands) // 2
            if left[0] == 0:
                send(commands[:half])  # the step is done in part
                raise StoreUnavailable("the process dies here")
            left[0] -= 1
            return list(send(commands))

        monkeypatch.setattr(dying._link, "_send", send_or_die)
        try:
            before = count_once(dying)
        except StoreUnavailable:
            before = -1
        dying.close()
        successor = take_over(location)
        after = count_once(successor)
        assert check_counts(successor, location) == after
        keys = reader.changes(VIEW, rev).keys
        assert keys is None or set(keys) == set(KEYS)  # no reader misses a row of which nobody could tell any more
        successor.close()
        if before > 0:  # no step is left at which to fail
            break
        failed += 1
    assert failed >= 8
    reader.close()


def test_a_redis_server_that_is_killed_and_restarted_loses_nothing(tmp_path: Path) -> None:
    with single(tmp_path) as server:
        location = f"redis://127.0.0.1:{server.port}/0"
        store = take_over(location)
        for _ in range(3):
            for _ in range(5):
                count_once(store)
            server.kill()
            with pytest.raises(StoreUnavailable, match=f"redis://127.0.0.1:{server.port} does not serve"):
                count_once(store)
            server.start()  # which knows no script any more
            retry(store)
        assert check_counts(store, location) >= 18  # 3 times 5 and one, at least
        store.close()


def retry(store: OnlineStore) -> None:
    while True:
        try:
            count_once(store)
            return
        except StoreConflict:
            time.sleep(0.02)


def test_a_zombie_changes_nothing_that_counts(shared_location: Path | str) -> None:
    zombie = take_over(shared_location)
    count_once(zombie)
    successor = take_over(shared_location)
    count_once(successor)
    with pytest.raises(WriterFenced):
        count_once(zombie)
    count_once(successor)
    assert check_counts(successor, shared_location) == 3
    zombie.close()
    successor.close()


def test_a_server_that_nobody_runs_is_named_without_its_password(redis_server: ValkeyServer) -> None:
    with pytest.raises(StoreUnavailable, match="TASTEMAKER_ONLINE_STORE") as error:
        open_online_store(f"redis://user:secret@127.0.0.1:{redis_server.port}/0")  # it knows no such user
    assert "secret" not in str(error.value)
