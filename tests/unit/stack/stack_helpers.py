import sys
import time
from collections.abc import Callable

from tastemaker.stack.component import Component

FOREVER = "import time\nwhile True: time.sleep(0.05)"


def python(code: str) -> list[str]:
    """A command line that runs ``code`` without site packages, so that it starts in milliseconds."""
    return [sys.executable, "-I", "-S", "-c", code]


def component(name: str, code: str = FOREVER, **options: object) -> Component:
    return Component(name, lambda: python(code), **options)  # type: ignore[arg-type]


def wait_for(condition: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    """Wait until a condition holds; the limit only turns a hang into a failure."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"gave up waiting: {what}"
        time.sleep(0.02)
