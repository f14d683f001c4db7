"""A rule: what a merchandiser wants of some items, somewhere, for some time, and who answers for it."""

import math
import re
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from tastemaker.clock import to_us

__all__ = ["MAX_POSITION", "Kind", "Rule", "Where"]

Kind = Literal["boost", "bury", "pin", "exclude", "cap"]
_MAX_STRENGTH: Final = 1000.0
MAX_POSITION: Final = 100  # the longest list that a request may ask for

_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Where(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """Which items a rule is about: those that match every condition that is given; all where none is.

    Attributes:
        surfaces: where on the site; everywhere if empty.
        categories: paths such as ``kitchen/mugs``; each stands for itself and everything below it.
        brands: exact names.
        item_ids: exact ids.
        price_from: lowest price, inclusive.
        price_to: highest price, inclusive. An item without a price matches no range.
    """

    surfaces: tuple[_Text, ...] = ()
    categories: tuple[_Text, ...] = ()
    brands: tuple[_Text, ...] = ()
    item_ids: tuple[_Text, ...] = ()
    price_from: float | None = None
    price_to: float | None = None

    def __post_init__(self) -> None:
        for name, price in (("price_from", self.price_from), ("price_to", self.price_to)):
            if price is not None and not (math.isfinite(price) and price >= 0):
                raise ValueError(f"{name} is {price}; write an amount of 0 or more, or leave it out")
        if self.price_from is not None and self.price_to is not None and self.price_from > self.price_to:
            raise ValueError(f"price_from {self.price_from} is above price_to {self.price_to}; swap them")
        for category in self.categories:
            if category.strip("/") != category:
                raise ValueError(f"category {category!r} begins or ends with a slash; write {category.strip('/')!r}")

    @property
    def everything(self) -> bool:
        """Whether any item matches."""
        return not (self.categories or self.brands or self.item_ids) and self.price_from is self.price_to is None


class Rule(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    kw_only=True,
    rename={"since": "from"},
):
    """One rule. Times are UTC; in JSON and YAML ``since`` is written ``from``.

    Attributes:
        id: lower-case letters, digits, ``.``, ``_`` and ``-``.
        owner: the person or team that answers for it.
        kind: ``boost`` multiplies and ``bury`` divides an item's score by ``strength`` (see
            :mod:`~tastemaker.serving.rerank.utility_kernel` for the scale); ``pin`` puts the best matching item at
            ``position``; ``exclude`` takes matching items out; ``cap`` lets at most ``limit`` of them into a list.
        where: which items, on which surfaces.
        since: from when, inclusive; at once if not given.
        until: until when, exclusive; for good if not given.
        strength: above 1, for boost and bury.
        position: 1 is the first place, for a pin.
        limit: items per list, for a cap.
        note: anything else worth knowing.
        enabled: False keeps it on record without effect.

    Raises:
        ValueError: fields that do not fit together; ``msgspec`` turns it into a ``ValidationError`` with the path.
    """

    id: str
    owner: _Text
    kind: Kind
    where: Where = Where()
    since: _Moment | None = None
    until: _Moment | None = None
    strength: float | None = None
    position: int | None = None
    limit: int | None = None
    note: str = ""
    enabled: bool = True

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise ValueError(
                f"id {self.id[:80]!r} is no rule id; write up to 64 lower-case letters, digits, '.', '_' or '-',"
                " such as winter-mugs"
            )
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError(f"rule {self.id}: until ({self.until}) is not after from ({self.since})")
        wanted = {"boost": "strength", "bury": "strength", "pin": "position", "cap": "limit"}.get(self.kind)
        for field in ("strength", "position", "limit"):
            given = getattr(self, field) is not None
            if given and field != wanted:
                raise ValueError(f"rule {self.id}: a rule of kind {self.kind} takes no {field}; leave it out")
            if not given and field == wanted:
                raise ValueError(f"rule {self.id}: a rule of kind {self.kind} needs a {field}")
        if self.strength is not None and not 1 < self.strength <= _MAX_STRENGTH:
            raise ValueError(
                f"rule {self.id}: strength {self.strength} is not above 1 and at most {_MAX_STRENGTH:g};"
                " to weaken items use kind bury with a strength above 1"
            )
        if self.position is not None and not 1 <= self.position <= MAX_POSITION:
            raise ValueError(f"rule {self.id}: position {self.position} is not from 1 to {MAX_POSITION}")
        if self.limit is not None and not 1 <= self.limit <= MAX_POSITION:
            raise ValueError(
                f"rule {self.id}: limit {self.limit} is not from 1 to {MAX_POSITION}; for none at all use kind exclude"
            )
        if self.kind in {"exclude", "pin"} and self.where.everything:
            raise ValueError(f"rule {self.id}: {self.kind} without a category, brand, item or price is every item")

    def span_us(self) -> tuple[int, int]:
        """From and until in microseconds since the epoch, with the ends of int64 where they are open."""
        since = -(2**63) if self.since is None else to_us(self.since)
        return since, 2**63 - 1 if self.until is None else to_us(self.until)
