"""The recommender as a model of the protocol."""

from tastemaker.serving.data_plane import DataPlane
from tastemaker.serving.oip.metadata import MODEL, model_metadata
from tastemaker.serving.oip.paths import OnPaths

__all__ = ["recommender_on_paths"]


def recommender_on_paths(plane: DataPlane) -> OnPaths:
    """Its name, its release, and what its tensors are."""
    return OnPaths(
        MODEL, plane, lambda: plane.recommender.release_id, lambda: model_metadata(plane.recommender.release_id)
    )
