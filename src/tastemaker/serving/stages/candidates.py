"""The candidates stage: every source of the recipe is asked for its quota, and what they give is united.

Sources are asked one after the other: they are numpy over arrays in process, 10 to 200 µs each, and a thread for each
would cost more than it hides. A source that takes longer than it may is left out of the next lists by its breaker.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter_ns

from tastemaker.retrieval.blend import Blend, unite
from tastemaker.retrieval.source import Query, Retrieved, Source
from tastemaker.serving.breaker import CircuitBreaker

__all__ = ["CandidatesInput", "Found", "look_for"]


@dataclass(frozen=True, eq=False)
class CandidatesInput:
    """What the stage is given.

    Attributes:
        sources: by name.
        quotas: candidates to ask each for, in the order of their turns.
        query: who asks, and for what page.
        breakers: by source, of the dependency that it searches.
        slow_ms: a search from which on it counts as a failure; None for never.
        now_ns: a clock that only grows.
    """

    sources: Mapping[str, Source]
    quotas: Mapping[str, int]
    query: Query
    breakers: Mapping[str, CircuitBreaker]
    slow_ms: float | None
    now_ns: Callable[[], int] = perf_counter_ns


@dataclass(frozen=True, eq=False)
class Found:
    """What was found.

    Attributes:
        candidates: of all sources.
        without: why a source was left out, by its name.
    """

    candidates: Blend
    without: Mapping[str, str]


def look_for(given: CandidatesInput) -> Found:
    """Ask the sources; one that fails, or has failed lately, is left out."""
    retrieved: dict[str, Retrieved] = {}
    without: dict[str, str] = {}
    for name, quota in given.quotas.items():
        if not quota:  # a column of the ranker's training, that nobody asks for now
            continue
        breaker = given.breakers.get(name)
        if breaker is None:
            retrieved[name] = given.sources[name].retrieve(given.query, quota)
            continue
        if not breaker.allows():
            without[name] = breaker.why
            continue
        began = given.now_ns()
        try:
            retrieved[name] = given.sources[name].retrieve(given.query, quota)
        except Exception as error:  # whatever a search raises, the other sources still have candidates
            without[name] = f"the {breaker.name} fails ({type(error).__name__}: {error})"
            breaker.failed(without[name])
            continue
        breaker.took((given.now_ns() - began) / 1e6, given.slow_ms)
    return Found(unite(tuple(given.quotas), retrieved), without)
