"""The worker's way to the dead-letter topic."""

import logging
from collections.abc import Callable, Sequence

from tastemaker import names
from tastemaker.broker.protocol import BrokerError, Producer
from tastemaker.events.dead_letter import DeadLetter, dead_letter_key, encode_dead_letter

__all__ = ["Stopped", "bury"]

_LOG = logging.getLogger(__name__)
_FLUSH_S = 10.0


class Stopped(Exception):
    """The process is to stop while it waits for the broker; what it was doing is not committed."""


def bury(producer: Producer, letters: Sequence[DeadLetter], wait: Callable[[float], bool]) -> None:
    """Send dead letters and return once the broker has them all; try again for as long as it is away.

    Args:
        producer: where to.
        letters: what to send. Their key names the record they come from, so that a letter that is sent again
            after a crash can be told from a new one.
        wait: pauses for some seconds; returns True when the process is to stop.

    Raises:
        Stopped: ``wait`` said so.
    """
    pause_s = 0.2
    while letters:
        try:
            sent = [
                producer.send(names.TOPIC_DEAD_LETTERS, dead_letter_key(letter), encode_dead_letter(letter))
                for letter in letters
            ]
            producer.flush(_FLUSH_S)
            for delivery in sent:
                delivery.result(_FLUSH_S)
        except BrokerError as error:
            _LOG.warning("%d dead letters wait for the broker: %s", len(letters), error)
            if wait(pause_s):
                raise Stopped from error
            pause_s = min(pause_s * 2, 5.0)
        else:
            for letter in letters:
                _LOG.warning(
                    "dead letter: %s[%d] offset %d: %s %s",
                    letter.topic,
                    letter.partition,
                    letter.offset,
                    letter.field,
                    letter.reason,
                )
            return
