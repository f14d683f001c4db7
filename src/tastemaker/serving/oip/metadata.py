"""Who serves, which model, and what its tensors are."""

from typing import Any

from tastemaker import __version__
from tastemaker.serving.problems import ApiProblem

__all__ = ["INPUTS", "MAX_LISTS", "MODEL", "OUTPUTS", "PLATFORM", "check_model", "model_metadata", "server_metadata"]

MODEL = "recommender"
PLATFORM = "tastemaker_release"
# Lists per call; they are made one after the other, so more would hold up everybody else.
MAX_LISTS = 64

# n is the number of lists of one call, k the longest of them. Items [n, m] are the product of the page, the cart, or
# what a search found; shorter rows end in empty texts.
INPUTS: tuple[dict[str, Any], ...] = (
    {"name": "user", "datatype": "BYTES", "shape": [-1]},
    {"name": "session", "datatype": "BYTES", "shape": [-1]},
    {"name": "surface", "datatype": "BYTES", "shape": [-1]},
    {"name": "k", "datatype": "INT32", "shape": [-1]},
    {"name": "items", "datatype": "BYTES", "shape": [-1, -1]},
    {"name": "category", "datatype": "BYTES", "shape": [-1]},
    {"name": "query", "datatype": "BYTES", "shape": [-1]},
    {"name": "exclude", "datatype": "BYTES", "shape": [-1, -1]},
)
OUTPUTS: tuple[dict[str, Any], ...] = (
    {"name": "item_ids", "datatype": "BYTES", "shape": [-1, -1]},
    {"name": "scores", "datatype": "FP32", "shape": [-1, -1]},
    {"name": "lengths", "datatype": "INT32", "shape": [-1]},
    {"name": "request_ids", "datatype": "BYTES", "shape": [-1]},
    {"name": "tiers", "datatype": "BYTES", "shape": [-1]},
)


def server_metadata() -> dict[str, Any]:
    """The answer to ``GET /v2``."""
    return {"name": "tastemaker", "version": __version__, "extensions": ["binary_tensor_data"]}


def model_metadata(release_id: str) -> dict[str, Any]:
    """The answer to ``GET /v2/models/recommender``; the release is the model's version."""
    return {"name": MODEL, "versions": [release_id], "platform": PLATFORM, "inputs": INPUTS, "outputs": OUTPUTS}


def check_model(name: str, version: str | None = None, release_id: str | None = None, serves: str = MODEL) -> None:
    """Check the names in a path: the model's, and where one is given the version's, which is the release.

    Raises:
        ApiProblem: 404 for a model or version that this server does not have.
    """
    if name != serves:
        raise ApiProblem(404, "model", f"unknown model {name!r}", f"this server has one model: {serves}")
    if version is not None and version != release_id:
        raise ApiProblem(
            404, "version", f"{version!r} does not serve here", f"leave the version out, or ask for {release_id}"
        )
