"""A worker that must not serve ends together with the server that started it."""

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tastemaker.errors import TastemakerError

__all__ = ["ending_the_server"]

_log = logging.getLogger(__name__)
_WORKER = "_bentoml_impl/worker/service.py"


@contextmanager
def ending_the_server() -> Iterator[None]:
    """Let an error in here stop ``bentoml serve``, which otherwise starts a worker that failed again and again.

    Its port is open all the while, so a refusal would look like a server that hangs.
    """
    try:
        yield
    except TastemakerError as error:
        _log.critical("refused to start: %s", error)
        parent = os.getppid()
        if sys.argv[0].endswith(_WORKER) and _is_bentoml(parent):
            os.kill(parent, signal.SIGTERM)
        raise


def _is_bentoml(pid: int) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"serve" in words and any(b"bentoml" in word for word in words)
