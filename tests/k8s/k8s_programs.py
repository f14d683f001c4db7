"""The programs of a cluster, and processes of them that end with the tests, however these end."""

import ctypes
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["BUILD", "Programs", "built", "free_port", "until"]

BUILD = Path(__file__).resolve().parents[2] / "scripts" / "k8s" / "build.sh"
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def built() -> tuple[Path | None, str]:
    """The folder of what was built; or None, and why there is none."""
    done = subprocess.run([str(BUILD), "--check"], capture_output=True, text=True, check=False)
    return (None, done.stderr.strip()) if done.returncode else (Path(done.stdout.strip()), "")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(what: str, holds: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until something holds.

    Raises:
        TimeoutError: it does not.
    """
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(0.1)


def _end_with_the_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Programs:
    """Processes, stopped last first: the API server ignores SIGTERM when its etcd is gone.

    Args:
        binaries: where they are.
        logs: where what they print goes.
    """

    def __init__(self, binaries: Path, logs: Path) -> None:
        self._binaries, self._logs = binaries, logs
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(self, name: str, *options: str, env: dict[str, str] | None = None) -> None:
        """Start one; what it prints is added to its log."""
        with (self._logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [str(self._binaries / name), *options],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=env,
                cwd=self._logs,
                start_new_session=True,
                preexec_fn=_end_with_the_parent,  # noqa: PLW1509 - the tests start no threads before
            )
        self._running.append((name, process))

    def check(self) -> None:
        """Fail if one has ended.

        Raises:
            RuntimeError: quotes the end of its log.
        """
        for name, process in self._running:
            if process.poll() is not None:
                tail = (self._logs / f"{name}.log").read_text(errors="replace").splitlines()[-8:]
                raise RuntimeError(f"{name} ended with status {process.returncode}:\n" + "\n".join(tail))

    def stop(self, name: str) -> None:
        """Stop one."""
        (found,) = [entry for entry in self._running if entry[0] == name]
        self._running.remove(found)
        _end(found[1])

    def stop_all(self) -> None:
        """Stop all, the last that was started first."""
        while self._running:
            _end(self._running.pop()[1])


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
