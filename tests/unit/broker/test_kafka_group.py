"""Joins of a consumer group that outlast a poll."""

from types import SimpleNamespace

import pytest
from kafka.coordinator.base import BaseCoordinator

from tastemaker.broker.kafka_group import finish_joins, is_joining


def client(asked: bool, join_task: object) -> SimpleNamespace:
    return SimpleNamespace(_coordinator=SimpleNamespace(need_rejoin=lambda: asked, _join_task=join_task))


@pytest.mark.parametrize(
    ("asked", "join_task", "expected"),
    [(False, None, False), (True, None, True), (False, object(), True), (True, object(), True)],
)
def test_join_is_needed_where_the_library_says_so_or_one_was_begun(asked, join_task, expected):
    consumer = client(asked, join_task)
    finish_joins(consumer)
    assert consumer._coordinator.need_rejoin() is expected


def test_taken_up_join_is_not_gone_back_to():
    consumer = client(False, object())
    finish_joins(consumer)
    consumer._coordinator._join_task = None
    assert not is_joining(consumer)
    assert not consumer._coordinator.need_rejoin()


def test_library_keeps_a_begun_join_where_we_look_for_it():
    # A version that calls it otherwise would silently bring back members without partitions.
    assert "_join_task" in BaseCoordinator.join_group_async.__code__.co_names
