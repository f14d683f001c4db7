"""Sending a request's records and waiting for the broker's word without blocking the event loop."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import Future

from tastemaker.broker.protocol import BrokerError, Delivered, Producer
from tastemaker.stream.validation import Outgoing

__all__ = ["send_and_confirm"]


async def send_and_confirm(
    producer: Producer, records: Sequence[Outgoing], timeout_s: float
) -> list[BrokerError | None]:
    """Send records in order and wait until the broker has all of them, or the time is up.

    Args:
        producer: its ``send`` must not wait, as that of a :class:`BackgroundProducer` does not.
        records: what to send.
        timeout_s: how long to wait for the acknowledgements, in seconds.

    Returns:
        For each record None when the broker has it, else why that is not known. A record that times out may
        still arrive later.
    """
    loop = asyncio.get_running_loop()
    settled = asyncio.Event()
    lock = threading.Lock()
    open_records = 1  # the sending itself, so that early acknowledgements cannot settle everything too soon

    def one_less(_: object = None) -> None:
        # One wake-up of the loop per request instead of one per record.
        nonlocal open_records
        with lock:
            open_records -= 1
            last = not open_records
        if last and not loop.is_closed():
            loop.call_soon_threadsafe(settled.set)

    deliveries: list[Future[Delivered] | BrokerError] = []
    for record in records:
        try:
            delivery = producer.send(record.topic, record.key, record.value)
        except BrokerError as error:
            deliveries.append(error)
            continue
        deliveries.append(delivery)
        with lock:
            open_records += 1
        delivery.add_done_callback(one_less)
    one_less()
    try:
        async with asyncio.timeout(timeout_s):
            await settled.wait()
    except TimeoutError:
        pass
    return [_outcome(delivery, timeout_s) for delivery in deliveries]


def _outcome(delivery: "Future[Delivered] | BrokerError", timeout_s: float) -> BrokerError | None:
    if isinstance(delivery, BrokerError):
        return delivery
    if not delivery.done():
        return BrokerError(f"the broker did not acknowledge within {timeout_s:g} s")
    error = delivery.exception()
    if error is None or isinstance(error, BrokerError):
        return error
    raise error
