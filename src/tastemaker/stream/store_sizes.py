"""Rows per view of the online store, counted now and then in a thread of its own."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from tastemaker.errors import TastemakerError
from tastemaker.features.plan import ViewPlan
from tastemaker.features.stores.opening import open_online_reader

__all__ = ["counting_rows"]

_LOG = logging.getLogger(__name__)
_EVERY_S: Final = 60.0
_SHARE: Final = 100.0  # counting walks over every row: it rests for so many times as long as it took


@contextmanager
def counting_rows(
    location: Path | str, views: Sequence[ViewPlan], tell: Callable[[str, int], None], every_s: float = _EVERY_S
) -> Iterator[None]:
    """Count meanwhile.

    Args:
        location: of the online store.
        views: which.
        tell: called with a view's name and its number of rows.
        every_s: how long to rest at least.
    """
    stop = threading.Event()

    def count() -> None:
        rest_s = 0.0
        while not stop.wait(rest_s):
            began = time.monotonic()
            try:
                # Not mapped: all of a file that is walked over would count as the worker's memory.
                with closing(open_online_reader(location, mapped=False)) as reader:
                    for view in views:
                        tell(view.name, reader.size(view.signature).rows)
                        if stop.is_set():
                            return
            except TastemakerError as error:
                _LOG.warning("the rows of the views are not counted: %s", error)
            rest_s = max(every_s, _SHARE * (time.monotonic() - began))

    thread = threading.Thread(target=count, name="rows", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5)
