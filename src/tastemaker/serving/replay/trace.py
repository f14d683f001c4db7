"""What a served list says of how it was made, beside its candidates: enough to make it again."""

from typing import Any, Final

import msgspec

__all__ = ["DISCOUNT", "FACTS", "LIFT", "TEXT", "Facts", "Trace"]

# Logged beside the ranker's features: a score is the ranker's answer to those, plus the first, less the second.
LIFT: Final = "intent_lift"
DISCOUNT: Final = "shown_discount"
# How well the title matches what was searched for.
TEXT: Final = "text"
# Columns of what the rerank stage looks at.
FACTS: Final = ("price", "age_days", "stock", "margin")


class Facts(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What the rerank stage was told of the candidates, in the order of the logged candidates.

    Attributes:
        numbers: :data:`FACTS`, packed.
        categories: paths that candidates have.
        category: int16 ``[n]``, index of each candidate's path; -1 for none.
        brands: that candidates have.
        brand: int16 ``[n]``, likewise.
        changed: uint16 ``[m]``, places of candidates whose vector is not the release's own, because they changed after
            it or were not there yet; only where the policy looks at vectors.
        vectors: float32 ``[m, dimension]``, theirs.
    """

    numbers: bytes
    categories: tuple[str, ...] = ()
    category: bytes = b""
    brands: tuple[str, ...] = ()
    brand: bytes = b""
    changed: bytes = b""
    vectors: bytes = b""


class Trace(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How a list came about. Numbers are little-endian; in JSON, bytes are base64.

    Attributes:
        recipe: version of the surface's recipe.
        at_hand: whether the candidates were taken as they were at hand, without being ranked.
        weights: by signal, of the recipe's order.
        policy: of the surface's rerank stage; None where it has none or it did not count.
        rows: int32 ``[n]``, catalogue rows of the logged candidates, which decide ties.
        places: uint16 ``[n]``, which place each had before ranking, from 0.
        columns: of ``values``, after ``feature_names``.
        values: the features that ranking saw, of all logged candidates, packed.
        facts: what the rerank stage was told; None where it had nothing to do.
        passed_over: by source, items that it named and that were not ranked, each with its place in the source's list,
            from 1.
        left_out: why ``values`` are not here; empty where they are.
    """

    recipe: str
    at_hand: bool = False
    weights: dict[str, float] = {}
    policy: dict[str, Any] | None = None
    rows: bytes = b""
    places: bytes = b""
    columns: tuple[str, ...] = ()
    values: bytes = b""
    facts: Facts | None = None
    passed_over: dict[str, dict[str, int]] = {}
    left_out: str = ""
