"""Which old releases may go: never one that is served, tried, or gone back to."""

import shutil
from dataclasses import dataclass

from tastemaker.errors import DataError
from tastemaker.promotion.champion import Champion, locked
from tastemaker.promotion.releases import Release, ReleaseRegistry
from tastemaker.promotion.rollout.running import running_rollout
from tastemaker.promotion.store import ModelStore
from tastemaker.settings import Settings

__all__ = ["Retired", "needed", "retire", "to_retire"]


@dataclass(frozen=True)
class Retired:
    """What was removed of a release.

    Attributes:
        release: its id.
        bentos: tags of its Bentos.
        freed: bytes.
    """

    release: str
    bentos: tuple[str, ...]
    freed: int


def needed(settings: Settings, registry: ReleaseRegistry, *, rollbacks: int = 3) -> dict[str, str]:
    """Releases that must stay, each with the reason.

    Args:
        settings: of the platform.
        registry: of its releases.
        rollbacks: how many champions before the present one may be gone back to.
    """
    found: dict[str, str] = {}
    champion: Champion | None = registry.champion()
    if champion is not None:
        found[champion.release] = "it is the champion"
        former = champion.previous
        for back in range(1, rollbacks + 1):
            if former is None:
                break
            found.setdefault(former.release, f"a rollback goes back to it, as the {_nth(back)} champion before")
            former = former.previous
    candidate = running_rollout(settings.rollouts_dir)
    if candidate is not None:
        found.setdefault(candidate, "a rollout of it runs")
    return found


def to_retire(settings: Settings, registry: ReleaseRegistry, *, keep: int, rollbacks: int = 3) -> list[Release]:
    """Releases that are not needed, and not among the newest.

    Args:
        settings: of the platform.
        registry: of its releases.
        keep: how many of the newest stay anyway.
        rollbacks: see :func:`needed`.
    """
    must = needed(settings, registry, rollbacks=rollbacks)
    return [release for release in registry.list()[keep:] if release.id not in must]


def retire(settings: Settings, registry: ReleaseRegistry, release: str, *, rollbacks: int = 3) -> Retired:
    """Remove a release from the model store, and its Bentos from theirs; its lineage and verdict stay.

    Under the lock of promotions: none of them can make it the champion meanwhile.

    Args:
        settings: of the platform.
        registry: of its releases.
        release: its id.
        rollbacks: see :func:`needed`.

    Raises:
        DataError: there is no such release, or it is needed.
    """
    store = ModelStore(settings.bentoml_home)
    with locked(settings.releases_dir):
        found = registry.get(release)
        reason = needed(settings, registry, rollbacks=rollbacks).get(release)
        if reason is not None:
            raise DataError(f"release {release} stays: {reason}")
        kept = settings.releases_dir / "retired" / release
        kept.mkdir(parents=True, exist_ok=True)
        (kept / "manifest.json").write_bytes(found.manifest.to_json())  # which data, code and verdict made old lists
        freed = sum(path.stat().st_size for path in found.path.rglob("*") if path.is_file())
        bentos = store.bentos_of(release)
        for tag in bentos:
            path = store.bento_path(tag)
            freed += sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            shutil.rmtree(path)
        store.delete(release)
    return Retired(release, tuple(bentos), freed)


def _nth(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")
