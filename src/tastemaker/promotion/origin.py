"""From a list that a shopper got back to the release that made it, and to what that was made of."""

from dataclasses import dataclass

from tastemaker.errors import DataError
from tastemaker.promotion.manifest import MANIFEST_NAME, Manifest
from tastemaker.promotion.releases import ReleaseRegistry
from tastemaker.serving.contract import ServedList
from tastemaker.settings import Settings

__all__ = ["Origin", "origin_of"]


@dataclass(frozen=True)
class Origin:
    """Where a list comes from.

    Attributes:
        manifest: of the release that made it, with its lineage and verdict.
        retired: whether the release's files are gone.
    """

    manifest: Manifest
    retired: bool


def origin_of(settings: Settings, served: ServedList) -> Origin:
    """The release behind a list.

    Raises:
        DataError: it is neither registered nor among the retired ones.
    """
    registry = ReleaseRegistry(settings)
    try:
        return Origin(registry.get(served.release).manifest, retired=False)
    except DataError:
        kept = settings.releases_dir / "retired" / served.release / MANIFEST_NAME
        if served.release and kept.parent.parent == settings.releases_dir / "retired" and kept.is_file():
            return Origin(Manifest.from_json(kept.read_bytes()), retired=True)
        raise
