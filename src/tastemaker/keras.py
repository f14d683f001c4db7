"""The one place where TensorFlow is imported: TensorFlow Recommenders needs Keras 2, chosen before the import."""

import os
from functools import lru_cache
from importlib import import_module
from types import ModuleType

from tastemaker.errors import TastemakerError

__all__ = ["recommenders", "seed_everything", "tensorflow"]

_REMEDY = "install the extra that needs it: pip install 'tastemaker[train]'"


@lru_cache(maxsize=1)
def tensorflow(threads: int = 2) -> ModuleType:
    """Import TensorFlow with legacy Keras.

    Args:
        threads: size of the pools inside and between operations. Small models lose time with more.

    Raises:
        TastemakerError: TensorFlow is not installed, or something imported it with Keras 3 before.
    """
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        tf = import_module("tensorflow")
    except ImportError as error:
        raise TastemakerError(f"TensorFlow does not import ({error}); {_REMEDY}") from error
    tf.get_logger().setLevel("ERROR")  # saving a model warns that its arguments cannot be serialised; they need not be
    if os.environ["TF_USE_LEGACY_KERAS"] != "1":
        raise TastemakerError("TF_USE_LEGACY_KERAS must be 1: TensorFlow Recommenders works with Keras 2 only")
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        pass  # something ran an operation before: the pools exist and stay as they are
    return tf


def recommenders() -> ModuleType:
    """Import TensorFlow Recommenders, after TensorFlow with legacy Keras.

    Raises:
        TastemakerError: it is not installed.
    """
    tensorflow()
    try:
        tfrs = import_module("tensorflow_recommenders")
    except ImportError as error:
        raise TastemakerError(f"TensorFlow Recommenders does not import ({error}); {_REMEDY}") from error
    return tfrs


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and TensorFlow, so that a training run repeats itself on the same machine."""
    tensorflow().keras.utils.set_random_seed(seed)
