"""What training says of items, as the ranker sees it: the same numbers for every user."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tastemaker.models.histories import Histories

__all__ = ["ItemFacts"]

_RECENT = (0.02, 0.1)  # shares of the whole time that count as recent


@dataclass(frozen=True, eq=False)
class ItemFacts:
    """Facts of the catalogue.

    Attributes:
        names: of the columns.
        columns: float32 ``[items, columns]``; NaN where a fact is not known.
        span: from the first interaction of training to the last, in the unit of its times; 1 without times.
        category: int64 ``[items]``, -1 where none is known; None without categories.
        log_price: float32 ``[items]``, NaN where none is known; None without prices.
    """

    names: tuple[str, ...]
    columns: npt.NDArray[np.float32]
    span: float = 1.0
    category: npt.NDArray[np.int64] | None = None
    log_price: npt.NDArray[np.float32] | None = None

    @classmethod
    def of(cls, train: Histories, items: pa.Table | None) -> "ItemFacts":
        """Count.

        Args:
            train: every user's interactions.
            items: as in :class:`~tastemaker.models.protocol.FitContext`.
        """
        popularity = train.popularity()
        taken = np.bincount(train.items, minlength=train.n_items).astype(np.float32)
        facts = {
            "popularity": np.log1p(popularity),
            "repeats": np.where(popularity > 0, taken / np.maximum(popularity, 1) - 1, np.nan),
        }
        span = 1.0
        if train.times is not None and len(train.items):
            start, end = float(train.times.min()), float(train.times.max())
            span = max(end - start, 1e-9)
            for share in _RECENT:
                recent = np.bincount(train.items[train.times > end - share * span], minlength=train.n_items)
                facts[f"recent_{share:g}"] = np.log1p(recent)
            first, last = np.full(train.n_items, np.nan), np.full(train.n_items, np.nan)
            np.fmin.at(first, train.items, train.times)
            np.fmax.at(last, train.items, train.times)
            facts["age"], facts["idle"] = (end - first) / span, (end - last) / span
        category, price = _column(items, "category"), _column(items, "price")
        codes = None
        if category is not None:
            codes = np.unique([str(value) for value in category], return_inverse=True)[1].astype(np.int64)
            codes[[value is None for value in category]] = -1
        log_price = None
        if price is not None:
            with np.errstate(invalid="ignore"):
                log_price = np.log1p(np.asarray(price, dtype=np.float32))
            facts["log_price"] = log_price
        return cls(tuple(facts), np.stack(list(facts.values()), axis=1).astype(np.float32), span, codes, log_price)


def _column(items: pa.Table | None, name: str) -> list[object] | None:
    if items is None or name not in items.column_names:
        return None
    return list(items[name].to_pylist())
