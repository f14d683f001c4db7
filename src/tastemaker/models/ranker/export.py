"""The ranker as other processes run it: a SavedModel of one function of one fixed shape, and its weights for numpy."""

from pathlib import Path
from typing import Any

from tastemaker.errors import DataError
from tastemaker.keras import tensorflow
from tastemaker.models.ranker.forward import Forward
from tastemaker.models.ranker.ranker import Ranker
from tastemaker.models.ranker.scoring import ScoringModule

tf = tensorflow()

__all__ = ["export_ranker"]


def export_ranker(ranker: Ranker, batch: int, path: Path) -> None:
    """Write a SavedModel whose only function is ``score``: float32 ``[batch, features]`` to float32 ``[batch]``.

    Beside it are the weights for :class:`~tastemaker.models.ranker.forward.Forward`, which gives the same scores of any
    number of candidates and is what serving runs.

    Args:
        ranker: as trained in this process.
        batch: candidates per call.
        path: directory to make.

    Raises:
        DataError: the ranker was loaded, which leaves nothing to trace at another shape.
    """
    trained = ranker.module
    if not isinstance(trained, ScoringModule):
        raise DataError("a ranker is exported by the process that trained it; this one was loaded from a directory")

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[tf.TensorSpec((batch, len(ranker.names)), tf.float32, "features")], autograph=False
    )
    def score(features: Any) -> Any:
        return trained.combined(features)

    module = tf.Module()
    module.model = trained.model
    module.score = score
    tf.saved_model.save(module, str(path), signatures={"serving_default": score})
    Forward.of(trained).save(path)
