"""What waits between the worker's reading and its applying."""

import threading

import pytest

from tastemaker.stream.backlog import Backlog, Chunk


def chunk(records: int, *, topic: str = "events", generation: int = 0, size: int = 10) -> Chunk:
    return Chunk(topic, generation, list(range(records)), [], [], [], {0: records}, records, size)


def test_chunks_of_one_topic_and_assignment_are_taken_together_up_to_the_bound():
    backlog = Backlog(1_000, 1_000)
    for made in (chunk(3), chunk(4), chunk(5), chunk(1, generation=1), chunk(1, topic="items", generation=1)):
        backlog.put(made)
    assert [len(taken.rows) for taken in backlog.take(7, 0)] == [3, 4]  # 7 are enough
    assert [len(taken.rows) for taken in backlog.take(7, 0)] == [5]  # the next is of another assignment
    assert [len(taken.rows) for taken in backlog.take(7, 0)] == [1]
    assert [taken.topic for taken in backlog.take(7, 0)] == ["items"]
    assert backlog.take(7, 0) == []
    assert (backlog.records, backlog.size) == (0, 0)


def test_topics_that_come_in_turn_are_taken_topic_by_topic_the_longest_waiting_first():
    backlog = Backlog(1_000, 1_000)
    for records, topic in ((1, "served"), (2, "events"), (3, "served"), (4, "events"), (5, "items"), (6, "events")):
        backlog.put(chunk(records, topic=topic))
    assert [len(taken.rows) for taken in backlog.take(100, 0)] == [1, 3]
    assert [len(taken.rows) for taken in backlog.take(6, 0)] == [2, 4]  # 6 are enough
    assert [taken.topic for taken in backlog.take(100, 0)] == ["items"]
    assert [len(taken.rows) for taken in backlog.take(100, 0)] == [6]
    assert backlog.take(100, 0) == []


def test_there_is_room_until_records_or_bytes_reach_the_bound():
    backlog = Backlog(10, 100)
    backlog.put(chunk(9, size=10))
    assert backlog.wait_for_room(0)
    backlog.put(chunk(1, size=10))
    assert not backlog.wait_for_room(0)
    backlog.clear()
    backlog.put(chunk(1, size=100))
    assert not backlog.wait_for_room(0)


def test_who_waits_until_all_is_taken_goes_on_as_soon_as_it_is():
    backlog = Backlog(10, 100)
    assert backlog.wait_until_taken(0)
    backlog.put(chunk(1))
    assert not backlog.wait_until_taken(0)
    taker = threading.Thread(target=lambda: backlog.take(1, 10))
    taker.start()
    assert backlog.wait_until_taken(30)
    taker.join(30)


def test_error_of_the_reading_side_comes_after_what_was_read_before_it():
    backlog = Backlog(10, 100)
    backlog.put(chunk(1))
    backlog.fail(ValueError("gone"))
    assert len(backlog.take(1, 0)) == 1
    with pytest.raises(ValueError, match="gone"):
        backlog.take(1, 0)
