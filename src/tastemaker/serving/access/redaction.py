"""Keys never reach a log: whatever a library writes, what looks like a key's secret is cut out of it."""

import logging
import re
from typing import Any

__all__ = ["keep_keys_out_of_logs", "redact"]

_SECRET = re.compile(r"(tm_[a-z0-9]{8})_[A-Za-z0-9_-]{16,}")
_plain = logging.Formatter()


def redact(text: str) -> str:
    """The text with the secrets of keys replaced; their ids stay.

    >>> redact("sent tm_abcd2345_" + "x" * 43)
    'sent tm_abcd2345_***'
    """
    return _SECRET.sub(r"\1_***", text) if "tm_" in text else text


def keep_keys_out_of_logs() -> None:
    """Redact every log record of this process, tracebacks included, wherever it is written. Idempotent."""
    make = logging.getLogRecordFactory()
    if getattr(make, "redacts", False):
        return

    def redacted(*args: Any, **named: Any) -> logging.LogRecord:
        record = make(*args, **named)
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):  # arguments that do not fit: logging reports them itself
            message = ""
        clean = redact(message)
        if clean != message:
            record.msg, record.args = clean, None
        if record.exc_info and record.exc_info[0] is not None:
            # What a formatter would make of it; one that finds the text made already takes it as it is.
            trace = _plain.formatException(record.exc_info)
            clean = redact(trace)
            if clean != trace:
                record.exc_text, record.exc_info = clean, None
        return record

    redacted.redacts = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(redacted)
