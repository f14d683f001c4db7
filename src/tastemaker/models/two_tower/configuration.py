"""The configuration that suits the data, where none is given."""

from dataclasses import fields, replace
from typing import Any

import numpy as np

from tastemaker.errors import DataError
from tastemaker.models.histories import Histories
from tastemaker.models.two_tower.parameters import TowerParameters

__all__ = ["configure"]

_HEAVY = 1_000_000  # logits of a step from which compiling pays
_MANY_ITEMS = 20_000  # from where on sampled negatives are faster than the whole catalogue
_MUCH = 2_000_000  # interactions
_SHORT = 6.0  # mean events of a user


def configure(train: Histories, chosen: dict[str, Any]) -> TowerParameters:
    """Fill in what is "auto".

    Args:
        train: what is learned from.
        chosen: parameters by name; "auto" or absent ones are decided here.

    Raises:
        DataError: a parameter does not exist or has an impossible value.
    """
    given = {name: value for name, value in chosen.items() if value != "auto"}
    unknown = set(given) - {field.name for field in fields(TowerParameters)}
    if unknown:
        raise DataError(f"there are no two-tower parameters {sorted(unknown)}")
    ordered = train.times is not None
    if not ordered and given.get("encoder", "weighted-mean") != "weighted-mean":
        raise DataError(f"encoder {given['encoder']!r} needs an order; without times choose weighted-mean or auto")
    automatic: dict[str, Any] = {
        "ordered": ordered,
        "time_unit": _time_unit(train),
        "n_types": len(train.type_names) if train.types is not None else 0,
    }
    many = train.n_items > _MANY_ITEMS
    if ordered:
        # Of sessions of a few clicks, means said more than attention in the same time; of longer histories, less.
        short = len(train.items) < _SHORT * max(int((train.lengths > 0).sum()), 1)
        automatic |= {"encoder": "weighted-mean" if short else "transformer", "loss": "sampled" if many else "full"}
        # Steps cost by the catalogue as well as by the batch: large data takes larger steps.
        batch = 4096 if len(train.items) >= _MUCH else 2048 if many else 1024
        automatic |= {"batch": batch, "learning_rate": 1e-3 * (batch / 1024) ** 0.5}
        automatic |= {"dimension": 128 if len(train.items) < _MUCH else 64}
    else:
        automatic |= {"encoder": "weighted-mean", "dimension": 256, "batch": 1024, "learning_rate": 3e-3}
        automatic |= {"bias": True, "temperature": 0.1}
    parameters = TowerParameters(**(automatic | given))
    heavy = parameters.batch * train.n_items >= _HEAVY
    return replace(parameters, compiled=given.get("compiled", heavy))


def _time_unit(train: Histories) -> float:
    """The median time between two of a user's baskets; 0 when times are mere positions, or there are none."""
    if train.times is None or len(train.items) < 2:
        return 0.0
    step = np.diff(train.times)
    within = np.ones(len(step), dtype=np.bool_)
    ends = train.offsets[1:-1]
    within[ends[(ends > 0) & (ends < len(train.items))] - 1] = False
    step = step[within & (step > 0)]
    if not len(step) or step.min() == step.max():
        return 0.0
    return float(np.median(step))
