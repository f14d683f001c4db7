"""Ranking in tensors; those that retrieval answers are among its inputs."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tastemaker.serving.model_services.columns import TEXT, Column, to_request
from tastemaker.serving.model_services.contract import RankedItems, RankingRequest
from tastemaker.serving.model_services.retrieval_tensors import ASKING, FIELDS, asking_fields
from tastemaker.serving.oip.metadata import OUTPUTS
from tastemaker.serving.problems import ApiProblem

__all__ = ["INPUTS", "OUTPUTS", "outputs_of", "request_of"]

_INTEGERS = ("INT32", "INT64")
INPUTS = (
    Column("item_ids", TEXT, 2),
    Column("lengths", _INTEGERS),
    Column("sources", TEXT, 2),
    Column("source_scores", ("FP32",), 3),
    Column("scores", ("FP32",), 2),  # of retrieval; the ranker does not look at them
    *ASKING,
    Column("request_ids"),
    Column("tiers"),
)
_OTHER_NAMES = {"request_ids": "request_id", "tiers": "tier"}
_OWN = frozenset({"item_ids", "lengths", "sources", "source_scores", "scores"})


def request_of(row: dict[str, Any], places: dict[str, str]) -> RankingRequest:
    """The request of a row.

    Raises:
        ApiProblem: 400 naming the tensor.
    """
    if "item_ids" not in row:
        raise ApiProblem(400, "inputs", "the input 'item_ids' is missing", "send the items to put in order")
    fields = asking_fields({_OTHER_NAMES.get(name, name): value for name, value in row.items() if name not in _OWN})
    length = row.get("lengths", len(row["item_ids"]))
    fields["candidates"] = [
        {"item_id": item_id, "sources": _sources(row, place, places)}
        for place, item_id in enumerate(row["item_ids"][: max(0, length)])
        if item_id
    ]
    tensors = FIELDS | {"candidates": "item_ids", "request_id": "request_ids", "tier": "tiers"}
    request: RankingRequest = to_request(fields, RankingRequest, tensors, places)
    return request


def _sources(row: dict[str, Any], place: int, places: dict[str, str]) -> dict[str, float]:
    """The sources of an item with their scores, 0 where these are not given."""
    joined = row["sources"][place] if place < len(row.get("sources", ())) else ""
    names = [name for name in joined.split(",") if name]
    scores = row["source_scores"][place] if place < len(row.get("source_scores", ())) else []
    if scores and len(scores) < len(names):
        raise ApiProblem(
            400,
            f"{places['source_scores']}.shape",
            f"an item has {len(names)} sources and {len(scores)} scores",
            "send a score for each source that sources names",
        )
    return dict(zip(names, scores or [0.0] * len(names), strict=False))


def outputs_of(answers: Sequence[RankedItems]) -> dict[str, tuple[str, np.ndarray[Any, Any]]]:
    """Answers as the recommender's tensors: the two are interchangeable at the end of a graph.

    Args:
        answers: n of them.

    Returns:
        By name datatype and elements: ``item_ids`` and ``scores`` ``[n, k]``, shorter lists filled up with empty ids
        and scores of 0; ``lengths``, ``request_ids`` and ``tiers`` ``[n]``.
    """
    n, width = len(answers), max(len(answer.items) for answer in answers)
    item_ids = np.full((n, width), "", dtype=object)
    scores = np.zeros((n, width), dtype="<f4")
    for row, answer in enumerate(answers):
        for place, item in enumerate(answer.items):
            item_ids[row, place], scores[row, place] = item.item_id, item.score
    return {
        "item_ids": ("BYTES", item_ids),
        "scores": ("FP32", scores),
        "lengths": ("INT32", np.array([len(answer.items) for answer in answers], dtype="<i4")),
        "request_ids": ("BYTES", np.array([answer.request_id for answer in answers], dtype=object)),
        "tiers": ("BYTES", np.array([answer.tier for answer in answers], dtype=object)),
    }
