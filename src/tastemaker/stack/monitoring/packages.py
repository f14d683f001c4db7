"""Prometheus, Alertmanager and their tools, from Debian's packages: fetched without root, nothing installed or started.

``python -m tastemaker.stack.monitoring.packages`` (``make monitoring``) downloads the packages of
``monitoring/packages.lock`` with apt, compares their hashes, and unpacks the programs into ``.cache/monitoring``.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tastemaker.durable import locked
from tastemaker.errors import StackError

__all__ = ["Locked", "fetch", "main", "monitoring_dir", "read_lock"]

_PROGRAMS = ("prometheus", "promtool", "prometheus-alertmanager", "amtool")
_STAMP = ".installed"
# Debian's Alertmanager reads its templates from where the package is installed, and does not start without them. The
# path in our copy becomes one of the same length, relative to the working directory that it is started in (.../usr).
_INSTALLED = b"/usr/share/prometheus/alertmanager"
_RELOCATED = b".////share/prometheus/alertmanager"
_REMEDY = (
    "Prometheus and Alertmanager are fetched as Debian packages, on Debian or Ubuntu; elsewhere put prometheus, "
    "promtool, alertmanager and amtool on the PATH, or name running ones with PROMETHEUS_URL and ALERTMANAGER_URL"
)


class Locked(NamedTuple):
    """A package as the lock names it: the hash is the SHA-256 of its file."""

    name: str
    version: str
    sha256: str


def monitoring_dir(repository: Path) -> Path:
    """Where the programs are."""
    return repository / ".cache" / "monitoring"


def read_lock(path: Path) -> list[Locked]:
    """The packages of a lock file.

    Raises:
        StackError: there is no such file, or a line has not name, version and hash.
    """
    try:
        lines = [line.split() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
        return [Locked(*line) for line in lines]
    except (OSError, TypeError) as error:
        raise StackError(f"{path}: {error}; each line has a package's name, version and SHA-256") from error


def fetch(repository: Path, lock: Path | None = None) -> list[str]:
    """Fetch and unpack what is not there yet.

    Args:
        repository: its ``.cache`` gets the programs.
        lock: the lock file; the repository's by default.

    Returns:
        Lines for a person: what was done, and where the lock could not be followed.

    Raises:
        StackError: what is missing, and what to do instead.
    """
    lock = lock or repository / "monitoring" / "packages.lock"
    packages = read_lock(lock)
    goal = monitoring_dir(repository)
    goal.parent.mkdir(parents=True, exist_ok=True)
    made_from = hashlib.sha256(lock.read_bytes() + _RELOCATED).hexdigest()
    with locked(goal.parent / ".monitoring.lock"):  # two fetches at once
        if (goal / _STAMP).exists() and (goal / _STAMP).read_text() == made_from:
            return []
        missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
        if missing:
            raise StackError(f"missing: {' and '.join(missing)}. {_REMEDY}")
        with tempfile.TemporaryDirectory(dir=goal.parent, prefix="monitoring.") as scratch:
            said = [line for package in packages for line in _unpack(package, Path(scratch))]
            _relocate(Path(scratch) / "root" / "usr" / "bin" / "prometheus-alertmanager")
            made = _keep(Path(scratch))
            (made / _STAMP).write_text(made_from)
            shutil.rmtree(goal, ignore_errors=True)
            made.rename(goal)
    return [*said, f"Prometheus and Alertmanager are in {goal}"]


def _unpack(package: Locked, scratch: Path) -> list[str]:
    """Download a package, by the lock where apt knows that version, and unpack it into ``root``."""
    folder = scratch / package.name
    folder.mkdir()
    said = []
    wanted = _run(["apt-get", "download", f"{package.name}={package.version}"], folder)
    if wanted.returncode:
        other = _run(["apt-get", "download", package.name], folder)
        if other.returncode:
            why = " ".join((other.stderr or wanted.stderr).split()) or "apt-get says nothing"
            raise StackError(
                f"the package {package.name} {package.version} cannot be downloaded: {why}. Without package lists, "
                f"`apt-get update` comes first. {_REMEDY}"
            )
    (file,) = folder.glob("*.deb")
    if wanted.returncode:  # apt has compared it with what the distribution signed
        said.append(f"{package.name} {package.version} is not to be had, {file.name} was taken instead")
    else:
        found = hashlib.sha256(file.read_bytes()).hexdigest()
        if found != package.sha256:
            raise StackError(f"{file.name} has the SHA-256 {found}, the lock says {package.sha256}; it is not used")
    unpacked = _run(["dpkg-deb", "-x", str(file), str(scratch / "root")], scratch)
    if unpacked.returncode:
        raise StackError(f"{file.name} cannot be unpacked: {unpacked.stderr.strip()}")
    return said


def _relocate(program: Path) -> None:
    content = program.read_bytes()
    if _INSTALLED not in content:
        raise StackError(f"{program.name} of this package looks for its templates elsewhere than expected. {_REMEDY}")
    program.write_bytes(content.replace(_INSTALLED, _RELOCATED))


def _keep(scratch: Path) -> Path:
    """The programs and Alertmanager's templates, and nothing else, as the directory that is put in place."""
    usr, made = scratch / "root" / "usr", scratch / "made"
    (made / "usr" / "bin").mkdir(parents=True)
    for name in _PROGRAMS:
        shutil.move(usr / "bin" / name, made / "usr" / "bin" / name)
    (made / "usr" / "share" / "prometheus").mkdir(parents=True)
    shutil.move(usr / "share" / "prometheus" / "alertmanager", made / "usr" / "share" / "prometheus" / "alertmanager")
    return made


def _run(command: list[str], cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def main() -> int:
    """Fetch into the working directory's ``.cache``."""
    try:
        for line in fetch(Path.cwd()):
            print(line)
    except StackError as error:
        print(f"monitoring: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
