"""Figures of what does not run all the time: a flow leaves them on disk, the exporter shows them to Prometheus.

Each series is a small file that the next value replaces, so a figure outlives the process and the machine's restart.
Times are by the machine's clock, as Prometheus's are, whatever the platform's clock says.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from prometheus_client.core import GaugeMetricFamily, Metric

from tastemaker.settings import Settings

__all__ = ["FIGURES", "Figure", "figures_dir", "note", "read_figures"]


class Figure(NamedTuple):
    """What a figure means, its labels, and labels that are text to be read: a new text takes the former one's place."""

    meaning: str
    labels: tuple[str, ...]
    texts: tuple[str, ...] = ()


FIGURES: Final[Mapping[str, Figure]] = {
    "tastemaker_flow_last_success_timestamp_seconds": Figure("When a flow last ended well", ("flow",)),
    "tastemaker_flow_due_seconds": Figure("Within how long after a success the next one is due", ("flow",)),
    "tastemaker_drifted": Figure("1 while what was compared last differs by more than its limits", ("kind",)),
    "tastemaker_drift_share": Figure("Share of the compared columns that drifted, 0 to 1", ("kind",)),
    "tastemaker_drift_checked_timestamp_seconds": Figure("When drift was last looked for", ("kind",)),
    "tastemaker_gate_blocked": Figure("1 while the last candidate that a policy judged was blocked", ("policy",)),
    "tastemaker_gate_decided_timestamp_seconds": Figure("When a policy last judged a candidate", ("policy",)),
    "tastemaker_rollback_timestamp_seconds": Figure("When a release was last taken back", ("target",)),
    "tastemaker_told_timestamp_seconds": Figure(
        "When a flow last told of an alert, and in which words", ("alert", "of"), ("summary", "details")
    ),
}
_TEXT_LENGTH = 600


class _Noted(msgspec.Struct, frozen=True):
    name: str
    labels: dict[str, str]
    value: float


def figures_dir(settings: Settings) -> Path:
    """Where the figures are."""
    return settings.observability_dir / "figures"


def note(settings: Settings, name: str, value: float, **labels: str) -> None:
    """Leave a figure, in place of its former value.

    Args:
        settings: whose home has the figures.
        name: one of :data:`FIGURES`.
        value: of the gauge.
        labels: all that the figure has; texts are cut after 600 characters.

    Raises:
        ValueError: there is no such figure, or it has other labels.
        OSError: the home cannot be written.
    """
    figure = FIGURES.get(name)
    if figure is None or set(labels) != {*figure.labels, *figure.texts}:
        raise ValueError(f"no figure {name} with the labels {sorted(labels)}; see FIGURES in {__name__}")
    labels |= {text: labels[text][:_TEXT_LENGTH] for text in figure.texts}
    directory = figures_dir(settings)
    directory.mkdir(parents=True, exist_ok=True)
    series = hashlib.sha256("\n".join([name, *(f"{key}={labels[key]}" for key in figure.labels)]).encode())
    path = directory / f"{series.hexdigest()[:24]}.json"
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_bytes(msgspec.json.encode(_Noted(name, labels, float(value))))
    temporary.replace(path)


def read_figures(settings: Settings) -> Iterator[Metric]:
    """All figures as gauges; a file that is damaged is left out."""
    families = {
        name: GaugeMetricFamily(name, figure.meaning, labels=[*figure.labels, *figure.texts])
        for name, figure in FIGURES.items()
    }
    for path in sorted(figures_dir(settings).glob("*.json")):
        try:
            noted = msgspec.json.decode(path.read_bytes(), type=_Noted)
        except (OSError, msgspec.MsgspecError):
            continue
        figure = FIGURES.get(noted.name)  # None: of another version
        if figure is not None and set(noted.labels) == {*figure.labels, *figure.texts}:
            labels = [noted.labels[label] for label in (*figure.labels, *figure.texts)]
            families[noted.name].add_metric(labels, noted.value)
    yield from families.values()
