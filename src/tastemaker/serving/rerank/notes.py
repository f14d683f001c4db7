"""What could not be done as the rules and the policy say."""

import math

import numpy as np

from tastemaker.serving.rerank.pins import place_pins
from tastemaker.serving.rerank.reranked import Note
from tastemaker.serving.rerank.stage import Outcome

__all__ = ["notes_of"]


def notes_of(outcome: Outcome) -> tuple[Note, ...]:
    """Put into words what a list had to leave undone."""
    prepared, filled = outcome.prepared, outcome.filled
    given, policy = prepared.given, prepared.policy
    notes = list(place_pins(prepared, tell=True)[2])
    if policy.diversity is not None and given.vectors is None:
        notes.append(Note("policy:diversity", "off: the candidates have no vectors"))
    if filled.broken.any():
        places = ", ".join(str(place + 1) for place in np.flatnonzero(filled.broken).tolist())
        notes.append(Note("policy:caps", f"broken at {places}: no candidate within all caps was left"))
    if policy.new_items is not None:
        need = math.ceil(policy.new_items.share * prepared.size - 1e-9)
        if filled.new < need:
            why = "no further new candidate within the caps was left, or pins and exploration have the places"
            notes.append(Note("policy:new_items", f"{filled.new} places instead of {need}: {why}"))
    if bad := int(np.count_nonzero(~np.isfinite(given.scores))):
        notes.append(Note("policy:scores", f"{bad} candidates without a finite score rank last"))
    return tuple(notes)
