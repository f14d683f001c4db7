"""Lists as output tensors."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tastemaker.serving.any_recommender import Answer
from tastemaker.serving.oip.metadata import MODEL, OUTPUTS
from tastemaker.serving.oip.tensors import InferRequest
from tastemaker.serving.problems import ApiProblem

__all__ = ["Output", "head_of", "outputs_of", "wanted_outputs"]

# Name, datatype, elements, and whether they are answered in binary.
Output = tuple[str, str, np.ndarray[Any, Any], bool]


_NAMES = tuple(str(output["name"]) for output in OUTPUTS)


def wanted_outputs(request: InferRequest, known: Sequence[str] = _NAMES) -> list[tuple[str, bool]]:
    """Names of the outputs to answer, and whether each is binary.

    Args:
        request: asks for all, or for some.
        known: names of all; the recommender's where they are not given.

    Raises:
        ApiProblem: 400 for an output that there is not.
    """
    all_binary = request.parameters.get("binary_data_output") is True
    if not request.outputs:
        return [(name, all_binary) for name in known]
    for place, output in enumerate(request.outputs):
        if output.name not in known:
            raise ApiProblem(
                400, f"outputs[{place}].name", f"unknown output {output.name!r}", f"use any of: {', '.join(known)}"
            )
    return [(output.name, output.parameters.get("binary_data", all_binary) is True) for output in request.outputs]


def head_of(request: InferRequest, answers: Sequence[Answer]) -> dict[str, Any]:
    """What stands in an answer beside its tensors."""
    first = answers[0][0]
    return {
        "model_name": MODEL,
        "model_version": first.release,
        "id": request.id or first.request_id,
        "parameters": {"release": first.release},
    }


def outputs_of(wanted: Sequence[tuple[str, bool]], answers: Sequence[Answer]) -> list[Output]:
    """The tensors that were asked for, as :func:`wanted_outputs` tells them."""
    tensors = _tensors_of(answers)
    return [(name, *tensors[name], binary) for name, binary in wanted]


def _tensors_of(answers: Sequence[Answer]) -> dict[str, tuple[str, np.ndarray[Any, Any]]]:
    """Lists as output tensors.

    Args:
        answers: n of them.

    Returns:
        By output name its datatype and elements. ``item_ids`` and ``scores`` are [n, k], k being the longest list;
        shorter lists are filled up with empty ids and scores of 0, and ``lengths`` [n] tells where they end.
    """
    lists = [response for response, _ in answers]
    width = max(len(response.items) for response in lists)
    item_ids = np.full((len(lists), width), "", dtype=object)
    scores = np.zeros((len(lists), width), dtype="<f4")
    for row, response in enumerate(lists):
        for place, item in enumerate(response.items):
            item_ids[row, place] = item.item_id
            scores[row, place] = item.score
    return {
        "item_ids": ("BYTES", item_ids),
        "scores": ("FP32", scores),
        "lengths": ("INT32", np.array([len(response.items) for response in lists], dtype="<i4")),
        "request_ids": ("BYTES", np.array([response.request_id for response in lists], dtype=object)),
        "tiers": ("BYTES", np.array([response.tier for response in lists], dtype=object)),
    }
