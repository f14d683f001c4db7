"""One view of all logs: a file per component, and a console where each line says who wrote it.

Processes write to their files themselves, so nothing is lost with the supervisor; the view follows the files.
"""

import shutil
import threading
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.text import Text

__all__ = ["LogView", "tail"]

_SUPERVISOR = "stack"
_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_red", "bright_cyan", "bright_magenta")
_INTERVAL_S = 0.15
_ROTATE_BYTES = 16 * 1024 * 1024


class LogView:
    """Follows the log files of a stack.

    Args:
        directory: where the files are; each start of a stack keeps the last one's files as ``NAME.log.1``.
        names: of the components.
        console: where lines are shown; None for files alone.
    """

    def __init__(self, directory: Path, names: tuple[str, ...], console: Console | None) -> None:
        self._directory = directory
        self._console = console
        self._names = (_SUPERVISOR, *names)
        self._width = max(len(name) for name in self._names)
        self._read: dict[str, int] = dict.fromkeys(self._names, 0)
        self._partial: dict[str, bytes] = dict.fromkeys(self._names, b"")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="logs", daemon=True)

    def path(self, name: str) -> Path:
        """The log file of a component."""
        return self._directory / f"{name}.log"

    def start(self) -> None:
        """Set the last files aside and begin to follow."""
        self._directory.mkdir(parents=True, exist_ok=True)
        for name in self._names:
            if self.path(name).exists():
                self.path(name).replace(self.path(name).with_suffix(".log.1"))
            self.path(name).touch()
        self._thread.start()

    def stop(self) -> None:
        """Show what is left and stop."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def say(self, text: str) -> None:
        """Write a line of the supervisor's own."""
        with self.path(_SUPERVISOR).open("a") as file:
            file.write(f"{datetime.now().astimezone():%H:%M:%S} {text}\n")

    def _follow(self) -> None:
        while True:
            last = self._stopping.is_set()
            for name in self._names:
                with suppress(FileNotFoundError):  # removed by someone; its process still writes to the nameless file
                    self._show_new(name)
            if last:
                return
            self._stopping.wait(_INTERVAL_S)

    def _show_new(self, name: str) -> None:
        path = self.path(name)
        size = path.stat().st_size
        if size == self._read[name]:
            return
        with path.open("rb") as file:
            file.seek(self._read[name])
            new = file.read(size - self._read[name])
        self._read[name] = size
        *lines, self._partial[name] = (self._partial[name] + new).split(b"\n")
        for line in lines:
            self._show(name, line.decode(errors="replace").rstrip())
        if size > _ROTATE_BYTES:
            # The writer keeps its handle, so the file is copied and emptied (it appends, thus goes on at 0).
            shutil.copyfile(path, path.with_suffix(".log.1"))
            with path.open("rb+") as file:
                file.truncate(0)
            self._read[name] = 0

    def _show(self, name: str, line: str) -> None:
        if self._console is None or not line:
            return
        if name == _SUPERVISOR:  # begins with its time already
            time, _, text = line.partition(" ")
        else:
            time, text = f"{datetime.now().astimezone():%H:%M:%S}", line
        colour = "bold" if name == _SUPERVISOR else _COLOURS[self._names.index(name) % len(_COLOURS)]
        shown = Text.assemble((time, "dim"), " ", (name.ljust(self._width), colour), (" │ ", "dim"))
        shown.append_text(Text.from_ansi(text))
        try:
            self._console.print(shown, soft_wrap=True, highlight=False)
        except OSError:  # the terminal is gone; the files remain
            self._console = None


def tail(path: Path, lines: int) -> str:
    """The last lines of a log file, for a message about what went wrong; ``""`` without one."""
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - 16_384, 0))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""
