"""The ranker: a cross layer and a small deep network over user × item features, trained on whole lists.

TensorFlow Recommenders' ranking task with a listwise softmax loss (Cao et al., *Learning to Rank: From Pairwise
Approach to Listwise Approach*, ICML 2007); the cross layer is of DCN-v2 (Wang et al., WWW 2021).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError
from tastemaker.keras import recommenders, seed_everything, tensorflow
from tastemaker.release.ranker_parameters import RankerParameters

tf = tensorflow()
tfrs = recommenders()
keras = tf.keras

__all__ = ["RankerModel", "export_ranker", "train_ranker"]

_CLIP = 5.0


class ListwiseSoftmax(keras.losses.Loss):  # type: ignore[misc, name-defined]
    """Cross entropy between a list's labels and the softmax over its scores; padding has the label -1."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss per list.

        Args:
            y_true: float32 ``[lists, candidates]``: 1, 0, or -1 for padding.
            y_pred: float32 ``[lists, candidates]``.
        """
        real = y_true >= 0
        log_share = tf.nn.log_softmax(tf.where(real, y_pred, -1e9), axis=1)
        hits = tf.where(real, y_true, 0.0)
        # Between one vote per list and one per hit: shoppers who buy a lot say more, but do not drown the others.
        return -tf.reduce_sum(hits * tf.where(real, log_share, 0.0), axis=1) / tf.sqrt(tf.reduce_sum(hits, axis=1))


class Standardise(keras.layers.Layer):  # type: ignore[misc, name-defined]
    """Raw features to inputs: signed ``log(1 + x)``, standardised, clipped; NaN becomes 0 and is flagged.

    Args:
        sample: float32 ``[n, features]``, what the scales are taken from.
    """

    def __init__(self, sample: npt.NDArray[np.float32]) -> None:
        super().__init__()
        logs = np.sign(sample) * np.log1p(np.abs(sample))
        missing = np.isnan(logs)
        with np.errstate(invalid="ignore"):
            filled = np.where(missing, 0.0, logs)
            count = np.maximum((~missing).sum(axis=0), 1)
            mean = filled.sum(axis=0) / count
            spread = np.sqrt((np.where(missing, 0.0, logs - mean) ** 2).sum(axis=0) / count)
        # A feature that never varied in training says nothing, whatever it is later: no view was ever seen, say.
        self.mean = tf.constant(mean, tf.float32)
        self.scale = tf.constant(np.where(spread > 1e-6, 1.0 / np.maximum(spread, 1e-6), 0.0), tf.float32)

    def call(self, inputs: Any) -> Any:
        """float32 ``[n, features]`` to float32 ``[n, 2 × features]``."""
        missing = tf.math.is_nan(inputs)
        filled = tf.where(missing, 0.0, inputs)
        logs = tf.sign(filled) * tf.math.log1p(tf.abs(filled))
        values = tf.clip_by_value((logs - self.mean) * self.scale, -_CLIP, _CLIP)
        return tf.concat([tf.where(missing, 0.0, values), tf.cast(missing, tf.float32)], axis=1)


class RankerModel(tfrs.Model):  # type: ignore[misc, name-defined]
    """Scores candidates from their features.

    Args:
        sample: float32 ``[n, features]``, for the scales.
        parameters: see there.
    """

    def __init__(self, sample: npt.NDArray[np.float32], parameters: RankerParameters) -> None:
        super().__init__()
        self.standardise = Standardise(sample)
        self.cross = tfrs.layers.dcn.Cross(projection_dim=16)
        layers: list[Any] = []
        for width in parameters.hidden:
            layers += [keras.layers.Dense(width, activation="relu"), keras.layers.Dropout(parameters.dropout)]
        self.deep = keras.Sequential(layers)
        self.out = keras.layers.Dense(1)
        self.task = tfrs.tasks.Ranking(loss=ListwiseSoftmax(), loss_metrics=[keras.metrics.Mean(name="mean_loss")])

    def call(self, inputs: Any, training: bool = False) -> Any:
        """float32 ``[n, features]`` to scores, float32 ``[n]``."""
        values = self.standardise(inputs)
        deep = self.deep(self.cross(values), training=training)
        return tf.squeeze(self.out(deep), axis=1)

    def compute_loss(self, inputs: tuple[Any, Any], training: bool = False) -> Any:
        """Loss of a batch of lists.

        Args:
            inputs: features float32 ``[lists, candidates, features]`` and labels float32 ``[lists, candidates]``.
            training: as in Keras.
        """
        features, labels = inputs
        scores = self(tf.reshape(features, [-1, features.shape[2]]), training=training)
        return self.task(labels=labels, predictions=tf.reshape(scores, tf.shape(labels)))


def train_ranker(
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.float32],
    parameters: RankerParameters,
    *,
    seed: int,
    progress: Callable[[str], None] = lambda message: None,
) -> tuple[RankerModel, float]:
    """Fit the ranker; the same seed on the same machine gives the same weights.

    Args:
        features: ``[lists, candidates, features]``.
        labels: ``[lists, candidates]``: 1, 0, or -1 for padding.
        parameters: see there.
        seed: of initial weights, dropout and order.
        progress: told the loss after each epoch.

    Returns:
        The model, and the mean loss of its last epoch.

    Raises:
        DataError: no list has a hit.
    """
    useful = (labels == 1).any(axis=1)
    if not useful.any():
        raise DataError(
            f"none of the {len(labels)} training lists holds an item that its shopper went on to buy; the ranker"
            " needs shoppers who come back within the label window: train at a later cut, or widen label_days"
        )
    seed_everything(seed)
    features, labels = features[useful], labels[useful]
    model = RankerModel(features[labels >= 0], parameters)
    model.compile(optimizer=keras.optimizers.AdamW(parameters.learning_rate, weight_decay=parameters.weight_decay))
    dataset = (
        tf.data.Dataset.from_tensor_slices((features, labels))
        .shuffle(len(features), seed=seed)
        .batch(parameters.batch_lists)
        .prefetch(2)
    )
    loss = float("nan")
    for epoch in range(parameters.epochs):
        fitted = model.fit(dataset, epochs=1, verbose=0)
        loss = float(fitted.history["mean_loss"][-1])
        progress(f"ranker epoch {epoch + 1} of {parameters.epochs}: loss {loss:.3f}")
    return model, loss


def export_ranker(model: RankerModel, names: Sequence[str], batch: int, path: Path) -> None:
    """Write the ranker as a SavedModel of one function ``score`` of one fixed shape.

    Args:
        model: fitted.
        names: of the features, for the number of columns.
        batch: candidates per call.
        path: directory to make.
    """

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[tf.TensorSpec((batch, len(names)), tf.float32, "features")]
    )
    def score(features: Any) -> Any:
        return model(features, training=False)

    module = tf.Module()
    module.model = model
    module.score = score
    tf.saved_model.save(module, str(path), signatures={"serving_default": score})
