"""Where Prometheus, Alertmanager and their tools are on this machine."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tastemaker.stack.monitoring.packages import monitoring_dir

__all__ = ["MISSING", "Programs", "find_programs"]

MISSING = "Prometheus and Alertmanager are missing; fetch them with: make monitoring"
# As Debian and as the projects call them.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "prometheus": ("prometheus",),
    "promtool": ("promtool",),
    "alertmanager": ("prometheus-alertmanager", "alertmanager"),
    "amtool": ("amtool",),
}


class Programs(NamedTuple):
    """Paths of the programs, and the working directory that Alertmanager has to be started in."""

    prometheus: Path
    promtool: Path
    alertmanager: Path
    amtool: Path
    cwd: Path


def find_programs(repository: Path) -> Programs | None:
    """The fetched programs, else those on the PATH; None when one is in neither."""
    usr = monitoring_dir(repository).absolute() / "usr"
    fetched = [usr / "bin" / names[0] for names in _NAMES.values()]
    if all(path.exists() for path in fetched):
        return _programs(fetched, usr)
    found = [next(filter(None, map(shutil.which, names)), None) for names in _NAMES.values()]
    paths = [Path(path) for path in found if path]
    return _programs(paths, repository.absolute()) if len(paths) == len(_NAMES) else None


def _programs(paths: list[Path], cwd: Path) -> Programs:
    prometheus, promtool, alertmanager, amtool = paths
    return Programs(prometheus, promtool, alertmanager, amtool, cwd)
