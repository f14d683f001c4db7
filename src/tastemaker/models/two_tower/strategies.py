"""On which devices a model is trained, by name."""

from typing import Any, Final

from tastemaker.errors import DataError
from tastemaker.keras import tensorflow

__all__ = ["STRATEGIES", "strategy_named"]

STRATEGIES: Final = ("none", "mirrored", "multi-worker")


def strategy_named(name: str) -> Any:
    """A strategy of ``tf.distribute``; None for "none".

    Args:
        name: "none"; "mirrored" for all devices of this machine; "multi-worker" for the workers that the environment
            variable ``TF_CONFIG`` names, each of which runs the same fit.

    Raises:
        DataError: there is no such strategy.
    """
    if name not in STRATEGIES:
        raise DataError(f"there is no strategy {name!r}; choose one of {', '.join(STRATEGIES)}")
    if name == "none":
        return None
    tf = tensorflow()
    return tf.distribute.MirroredStrategy() if name == "mirrored" else tf.distribute.MultiWorkerMirroredStrategy()
