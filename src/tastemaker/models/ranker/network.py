"""The network: features of candidates to one logit per outcome."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError
from tastemaker.keras import recommenders, tensorflow
from tastemaker.models.ranker.heads import GatedExperts, PositionTower, VectorProduct, deep_layers
from tastemaker.models.ranker.inputs import Scales, Standardise
from tastemaker.models.ranker.losses import ListwiseSoftmax
from tastemaker.models.ranker.parameters import RankerParameters

tf = tensorflow()
tfrs = recommenders()
keras = tf.keras

__all__ = ["RankerModel"]


class RankerModel(tfrs.Model):  # type: ignore[misc, name-defined]
    """Scores candidates from their features: TensorFlow Recommenders' ranking task, once per outcome.

    Args:
        scales: of the features.
        names: of the features.
        parameters: see there.
        wide_start: float32 ``[features]``: weights of the raw features (NaN as 0) whose sum, times a learned factor,
            is added to every logit. The rest of the network then begins at zero, so that training starts from the
            order of that sum.
        start_factor: where that factor begins.

    Raises:
        DataError: the head needs columns that are not there.
    """

    def __init__(
        self,
        scales: Scales,
        names: tuple[str, ...],
        parameters: RankerParameters,
        *,
        wide_start: npt.NDArray[np.float32] | None = None,
        start_factor: float = 1.0,
    ) -> None:
        super().__init__()
        outcomes, hidden, dropout = len(parameters.outcomes), parameters.hidden, parameters.dropout
        last = "zeros" if wide_start is not None else "glorot_uniform"
        self.outcome_weights = parameters.weights
        self.standardise = Standardise(scales)
        self.crosses = (
            [tfrs.layers.dcn.Cross(projection_dim=parameters.cross_rank) for _ in range(parameters.cross_layers)]
            if parameters.head == "dcn"
            else []
        )
        self.wide = (
            keras.layers.Dense(outcomes, use_bias=False, kernel_initializer="zeros")
            if parameters.head == "wide-deep"
            else None
        )
        self.product: Any = None
        if parameters.head == "ncf":
            self.product = VectorProduct(parameters.factors, *_vector_columns(names, parameters.vectors))
            self.product_out = keras.layers.Dense(outcomes, use_bias=False, kernel_initializer=last)
        self.experts = GatedExperts(parameters.experts, outcomes, hidden, dropout) if outcomes > 1 else None
        self.deep: Any = deep_layers(hidden, dropout) if outcomes == 1 else None
        # One linear layer for each outcome, on that outcome's mixture.
        self.outs = [keras.layers.Dense(1, kernel_initializer=last) for _ in range(outcomes)]
        self.position = PositionTower(parameters.max_position, outcomes, parameters.position_dropout)
        self.start_weights = None if wide_start is None else tf.constant(wide_start[:, None], tf.float32)
        self.start_factor = None if wide_start is None else tf.Variable(start_factor, name="start_factor")
        self.task = tfrs.tasks.Ranking(loss=ListwiseSoftmax(), metrics=[])

    def call(self, inputs: Any, training: bool = False) -> Any:
        """float32 ``[n, features]`` to logits, float32 ``[n, outcomes]``."""
        return self.logits(self.standardise(inputs), filled(inputs), training=training)

    def logits(self, values: Any, raw: Any, training: bool = False) -> Any:
        """Logits, float32 ``[n, outcomes]``.

        Args:
            values: float32 ``[n, 2 × features]``, standardised.
            raw: float32 ``[n, features]``, without NaN.
            training: as in Keras.
        """
        body = values
        for cross in self.crosses:
            body = cross(values, body)
        if self.experts is None:
            found = self.outs[0](self.deep(body, training=training))
        else:
            mixed = self.experts(body, values, training=training)
            found = tf.concat([out(mixed[:, outcome]) for outcome, out in enumerate(self.outs)], axis=1)
        if self.wide is not None:
            found += self.wide(values)
        if self.product is not None:
            found += self.product_out(self.product(raw))
        if self.start_factor is not None:
            found += self.start_factor * tf.matmul(raw, self.start_weights)
        return found

    def compute_loss(self, inputs: tuple[Any, Any, Any, Any, Any], training: bool = False) -> Any:
        """Loss of a batch of lists.

        Args:
            inputs: features float32 ``[lists, candidates, features]``, labels float32 ``[lists, candidates,
                outcomes]``, positions int32 ``[lists, candidates]``, weights float32 ``[lists]``, and what sampling
                adds to the logits, float32 ``[lists, candidates]``.
            training: as in Keras.
        """
        features, labels, positions, weights, correction = inputs
        logits = tf.reshape(self(tf.reshape(features, [-1, features.shape[2]]), training=training), tf.shape(labels))
        logits += self.position(positions, training=training) + correction[:, :, None]
        return tf.add_n(
            [
                share * self.task(labels=labels[:, :, at], predictions=logits[:, :, at], sample_weight=weights)
                for at, share in enumerate(self.outcome_weights)
            ]
        )


def filled(features: Any) -> Any:
    """NaN as 0."""
    return tf.where(tf.math.is_nan(features), 0.0, features)


def _vector_columns(names: tuple[str, ...], prefixes: tuple[str, str]) -> list[list[int]]:
    found = [[at for at, name in enumerate(names) if name.startswith(prefix)] for prefix in prefixes]
    if not all(found):
        raise DataError(
            f"the head ncf multiplies two vectors, and no features begin with {prefixes[0]!r} and {prefixes[1]!r};"
            " give such columns, name others in the parameter vectors, or choose the head dcn or wide-deep"
        )
    return found
