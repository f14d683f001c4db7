"""Retrieval in tensors."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tastemaker.serving.model_services.columns import TEXT, Column, described, to_request
from tastemaker.serving.model_services.contract import RetrievalRequest, RetrievedCandidates

__all__ = ["ASKING", "INPUTS", "asking_fields", "asking_tensors", "outputs_of", "request_of"]

# Who asks, and for what page: n lists, of which each has at most m items and h events.
ASKING = (
    Column("user"),
    Column("session"),
    Column("surface"),
    Column("category"),
    Column("query"),
    Column("k", ("INT32", "INT64")),
    Column("items", TEXT, 2),
    Column("history_items", TEXT, 2),
    Column("history_types", TEXT, 2),
    Column("history_ages_s", ("FP32", "INT32", "INT64"), 2),
)
INPUTS = (*ASKING, Column("limit", ("INT32", "INT64")), Column("exclude", TEXT, 2))
_EVENT = {"item_id": "history_items", "type": "history_types", "age_s": "history_ages_s"}
# Of an error's field, the tensor.
FIELDS = {"history": "history_items"} | {f"history.{name}": tensor for name, tensor in _EVENT.items()}
OUTPUTS: tuple[dict[str, Any], ...] = (
    {"name": "item_ids", "datatype": "BYTES", "shape": [-1, -1]},
    {"name": "scores", "datatype": "FP32", "shape": [-1, -1]},
    {"name": "sources", "datatype": "BYTES", "shape": [-1, -1]},
    {"name": "source_scores", "datatype": "FP32", "shape": [-1, -1, -1]},
    {"name": "lengths", "datatype": "INT32", "shape": [-1]},
    {"name": "request_ids", "datatype": "BYTES", "shape": [-1]},
    {"name": "tiers", "datatype": "BYTES", "shape": [-1]},
    *described(ASKING),
)


def asking_fields(row: dict[str, Any]) -> dict[str, Any]:
    """Fields of a request from a row of tensors: an empty text is nothing, and so is what fills up a shorter list."""
    fields = {name: value for name, value in row.items() if name not in _EVENT.values() and value != ""}
    for name in ("items", "exclude"):
        if name in fields:
            fields[name] = [item_id for item_id in fields[name] if item_id]
    if row.keys() & _EVENT.values():
        columns = [row.get(tensor, []) for tensor in _EVENT.values()]
        size = max(len(column) for column in columns)
        events = [
            {name: column[at] for name, column in zip(_EVENT, columns, strict=True) if at < len(column)}
            for at in range(size)
        ]
        fields["history"] = [event for event in events if event.get("item_id", "?")]
    return fields


def request_of(row: dict[str, Any], places: dict[str, str]) -> RetrievalRequest:
    """The request of a row.

    Raises:
        ApiProblem: 400 naming the tensor.
    """
    request: RetrievalRequest = to_request(asking_fields(row), RetrievalRequest, FIELDS, places)
    return request


def outputs_of(answers: Sequence[RetrievedCandidates]) -> dict[str, tuple[str, np.ndarray[Any, Any]]]:
    """Answers as tensors.

    Args:
        answers: n of them.

    Returns:
        By name datatype and elements: ``item_ids``, ``scores`` and ``sources`` ``[n, c]``, the last one the names of
        the sources that named the item, joined by commas; ``source_scores`` ``[n, c, s]``, in the order of these names;
        shorter lists are filled up with empty texts and 0; and of what was asked, what ranking needs.
    """
    n, width = len(answers), max(len(answer.candidates) for answer in answers)
    most = max((len(found.sources) for answer in answers for found in answer.candidates), default=0)
    item_ids, sources = (np.full((n, width), "", dtype=object) for _ in range(2))
    scores = np.zeros((n, width), dtype="<f4")
    source_scores = np.zeros((n, width, most), dtype="<f4")
    for row, answer in enumerate(answers):
        for place, found in enumerate(answer.candidates):
            item_ids[row, place], scores[row, place] = found.item_id, found.score
            sources[row, place] = ",".join(found.sources)
            source_scores[row, place, : len(found.sources)] = list(found.sources.values())
    return {
        "item_ids": ("BYTES", item_ids),
        "scores": ("FP32", scores),
        "sources": ("BYTES", sources),
        "source_scores": ("FP32", source_scores),
        "lengths": ("INT32", np.array([len(answer.candidates) for answer in answers], dtype="<i4")),
        "request_ids": ("BYTES", np.array([answer.request_id for answer in answers], dtype=object)),
        "tiers": ("BYTES", np.array([answer.tier for answer in answers], dtype=object)),
        **asking_tensors(answers),
    }


def asking_tensors(answers: Sequence[RetrievedCandidates]) -> dict[str, tuple[str, np.ndarray[Any, Any]]]:
    """What was asked; of what no list has, nothing."""
    texts = {
        name: [getattr(answer, name) or "" for answer in answers]
        for name in ("user", "session", "surface", "category", "query")
    }
    found: dict[str, tuple[str, np.ndarray[Any, Any]]] = {
        name: ("BYTES", np.array(column, dtype=object)) for name, column in texts.items() if any(column)
    }
    found["k"] = ("INT32", np.array([answer.k for answer in answers], dtype="<i4"))
    if any(answer.items for answer in answers):
        found["items"] = ("BYTES", _padded([list(answer.items) for answer in answers], object, ""))
    if any(answer.history is not None for answer in answers):
        for field, tensor in _EVENT.items():
            rows = [[getattr(event, field) for event in answer.history or ()] for answer in answers]
            kind, empty = ("<f4", 0.0) if field == "age_s" else (object, "")
            found[tensor] = ("FP32" if field == "age_s" else "BYTES", _padded(rows, kind, empty))
    return found


def _padded(rows: list[list[Any]], kind: Any, empty: Any) -> np.ndarray[Any, Any]:
    filled = np.full((len(rows), max(len(row) for row in rows)), empty, dtype=kind)
    for at, row in enumerate(rows):
        filled[at, : len(row)] = row
    return filled
