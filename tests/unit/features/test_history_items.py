"""The short way to a history's items gives what the long way gives."""

from random import Random

import pytest

from tastemaker.features.history import HistoryEvent, pack_history, unpack_history, unpack_items


def event(number: int) -> HistoryEvent:
    """The event of a number: the same wherever it is packed."""
    pick = Random(number)
    return HistoryEvent(
        pick.randrange(1_000),
        f"e{number}",
        pick.choice(["a", "日本", "x" * 20]),
        pick.choice(["view", "purchase"]),
        pick.choice([None, "", "cät"]),
    )


def packed(numbers: list[int]) -> bytes:
    events = {number: event(number) for number in numbers}.values()
    return pack_history(sorted(events, key=lambda found: (found.occurred_us, found.event_id), reverse=True))


@pytest.mark.parametrize("states", [1, 2, 3])
def test_items_of_one_state_and_of_several_are_those_of_the_events(states: int) -> None:
    pick = Random(states)
    for _ in range(300):
        # Of several states, events may be in more than one, and a state may be empty.
        whole = b"".join(packed([pick.randrange(60) for _ in range(pick.randrange(12))]) for _ in range(states))
        for now_us in (None, 500):
            for n in (1, 5, 50):
                expected = [(e.item_id, e.type, e.occurred_us) for e in unpack_history(whole, now_us, n)]
                assert unpack_items(whole, now_us, n) == expected


def test_no_state_has_no_items() -> None:
    assert unpack_items(None, None, 5) == unpack_items(b"", 7, 5) == unpack_items(packed([]), 7, 5) == []
