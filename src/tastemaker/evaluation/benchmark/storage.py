"""A task as files, so that every model can be run in a process of its own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather

from tastemaker.evaluation.benchmark.task import Task
from tastemaker.models.histories import Histories

__all__ = ["load_task", "save_task"]

_PARTS = ("train", "history", "relevant")
_ARRAYS = ("offsets", "items", "weights", "times", "types", "now")


def save_task(task: Task, directory: Path) -> None:
    """Write a task into a directory, which is made."""
    directory.mkdir(parents=True, exist_ok=True)
    for part in _PARTS:
        histories: Histories = getattr(task, part)
        arrays = {name: getattr(histories, name) for name in _ARRAYS if getattr(histories, name) is not None}
        np.savez(directory / f"{part}.npz", **arrays)
    if task.items is not None:
        pyarrow.feather.write_feather(task.items, directory / "items.arrow", compression="uncompressed")
    settings = {
        "n_items": task.train.n_items,
        "type_names": task.train.type_names,
        "exclude_seen": task.exclude_seen,
        "protocol": task.protocol,
        "horizon": task.horizon,
        "facts": task.facts,
    }
    (directory / "task.json").write_text(json.dumps(settings))


def load_task(directory: Path) -> Task:
    """Read what :func:`save_task` wrote."""
    settings: dict[str, Any] = json.loads((directory / "task.json").read_text())
    parts: dict[str, Histories] = {}
    for part in _PARTS:
        with np.load(directory / f"{part}.npz") as arrays:
            found = {name: arrays[name] for name in arrays.files}
        names = tuple(settings["type_names"]) if "types" in found else ()
        parts[part] = Histories(n_items=settings["n_items"], type_names=names, **found)
    described = directory / "items.arrow"
    items: pa.Table | None = pyarrow.feather.read_table(described) if described.exists() else None
    return Task(
        **parts,
        items=items,
        exclude_seen=settings["exclude_seen"],
        protocol=settings["protocol"],
        horizon=settings["horizon"],
        facts=settings["facts"],
    )
