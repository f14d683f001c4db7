"""Write down how a list came about; done in the log's thread, off every request's path."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker.retrieval.blend import Blend
from tastemaker.serving.recipe import Recipe
from tastemaker.serving.replay.packing import pack
from tastemaker.serving.replay.trace import DISCOUNT, TEXT, Facts, Trace
from tastemaker.serving.stages.rerank import ListedOrder
from tastemaker.serving.trail import Trail

__all__ = ["TraceInput", "trace_of"]

_Floats = npt.NDArray[np.float32]

# A record of the broker holds 1 MiB; base64 takes a third more, and the candidates' text needs the rest.
_MOST_BYTES: Final = 300_000
_MOST_CANDIDATES: Final = 65_536
# Items that a source names after so many others are not told one by one.
_TOLD: Final = 500


@dataclass(frozen=True, eq=False)
class TraceInput:
    """What is written down.

    Attributes:
        recipe: of the surface.
        item_ids: of the catalogue, by row.
        candidates: as they are logged.
        features: float32 ``[n, features]`` of the logged candidates, or ``[0, 0]``.
        trail: how they were scored; None where they were taken as they were at hand.
        listed: what the rerank stage made of them; None where it had nothing to do.
        trained: float32 ``[rows, dimension]``, the release's own vectors.
    """

    recipe: Recipe
    item_ids: Sequence[str]
    candidates: Blend
    features: _Floats
    trail: Trail | None
    listed: ListedOrder | None
    trained: _Floats


def trace_of(given: TraceInput) -> Trace:
    """What the log keeps of a list, so that it can be made again."""
    rows, trail, listed = given.candidates.rows, given.trail, given.listed
    places = np.arange(len(rows)) if trail is None else trail.order
    if listed is not None:
        places = places[listed.order]
    policy = given.recipe.rerank if trail is not None and "rerank" in given.recipe.stages else None
    columns, values = _values(given, places)
    packed = pack(values) if values.size else b""
    with_vectors = policy is not None and policy.diversity is not None
    facts = None if listed is None else _facts(given, listed, with_vectors)
    size = len(packed) + (0 if facts is None else len(facts.vectors) + len(facts.numbers))
    whole = size <= _MOST_BYTES and len(rows) < _MOST_CANDIDATES
    return Trace(
        recipe=given.recipe.version,
        at_hand=trail is None,
        weights={} if trail is None else {str(signal): weight for signal, weight in given.recipe.order.items()},
        policy=None if policy is None or listed is None else policy.model_dump(mode="json", exclude_defaults=True),
        rows=rows.astype("<i4").tobytes(),
        places=places.astype("<u2").tobytes() if whole else b"",
        columns=columns if whole else (),
        values=packed if whole else b"",
        facts=facts if whole else None,
        passed_over=_passed_over(given),
        left_out="" if whole else f"{len(rows)} candidates with all that is known of them are more than a record holds",
    )


def _values(given: TraceInput, places: npt.NDArray[np.intp]) -> tuple[tuple[str, ...], _Floats]:
    """Columns beside the features, and all values in the order of the logged candidates."""
    trail, matrix = given.trail, given.features
    columns: list[str] = []
    values: list[_Floats] = [matrix] if len(matrix) else []
    if trail is not None and not len(matrix) and trail.discount.any():
        columns.append(DISCOUNT)
        values.append(trail.discount[places][:, None])
    if trail is not None and trail.text is not None:
        columns.append(TEXT)
        values.append(trail.text[places][:, None])
    if not values:
        return (), np.zeros((len(places), 0), dtype=np.float32)
    return tuple(columns), values[0] if len(values) == 1 else np.concatenate(values, axis=1)


def _facts(given: TraceInput, listed: ListedOrder, with_vectors: bool) -> Facts:
    order, told = listed.order, listed.given
    numbers = np.stack([told.prices, told.age_days, told.stock, told.margins], axis=1)[order]
    paths, brands = listed.facts.category_paths, listed.facts.brand_names
    categories, category = _indexed(told.categories[order], paths)
    brand_names, brand = _indexed(told.brands[order], brands)
    changed = np.zeros(0, dtype=np.int64)
    vectors = np.zeros((0, 0), dtype=np.float32)
    if with_vectors and told.vectors is not None:
        rows, own = told.rows[order], told.vectors[order]
        known = rows < len(given.trained)
        same = known.copy()
        # As bits: a vector that was computed anew may differ in its last one.
        same[known] = (own[known].view(np.uint32) == given.trained[rows[known]].view(np.uint32)).all(axis=1)
        changed, vectors = np.flatnonzero(~same), own[~same]
    return Facts(
        numbers=pack(numbers),
        categories=categories,
        category=category,
        brands=brand_names,
        brand=brand,
        changed=changed.astype("<u2").tobytes(),
        vectors=vectors.astype("<f4").tobytes(),
    )


def _indexed(codes: npt.NDArray[np.int64], names: Sequence[str]) -> tuple[tuple[str, ...], bytes]:
    """The names that are used, and each code's place among them; -1 stays."""
    used: dict[int, int] = {}
    places = [used.setdefault(code, len(used)) if code >= 0 else -1 for code in codes.tolist()]
    return tuple(names[code] for code in used), np.array(places, dtype="<i2").tobytes()


def _passed_over(given: TraceInput) -> dict[str, dict[str, int]]:
    ids, ranked = given.item_ids, set(given.candidates.rows.tolist())
    found: dict[str, dict[str, int]] = {}
    for name, retrieved in given.candidates.retrieved.items():
        told = enumerate(retrieved.rows[:_TOLD].tolist(), 1)
        if over := {ids[row]: place for place, row in told if row not in ranked}:
            found[name] = over
    return found
