"""The functions of a trained network that are called, exported and loaded."""

from typing import Any

from tastemaker.keras import tensorflow
from tastemaker.models.ranker.calibration import Calibration
from tastemaker.models.ranker.network import RankerModel, filled
from tastemaker.models.ranker.objective import combined_score, relevance
from tastemaker.models.ranker.parameters import RankerParameters

tf = tensorflow()

__all__ = ["ScoringModule"]


class ScoringModule(tf.Module):  # type: ignore[misc, name-defined]
    """Logits, scores and contributions of any number of candidates.

    Args:
        model: fitted.
        names: of the features.
        parameters: see there.
        calibrations: of each outcome. Softmax leaves the level of logits open: after Platt's map they are log-odds,
            which outcomes may be added up by, and which say how likely a purchase is.
    """

    def __init__(
        self,
        model: RankerModel,
        names: tuple[str, ...],
        parameters: RankerParameters,
        calibrations: tuple[Calibration, ...],
    ) -> None:
        super().__init__()
        self.model, self.parameters = model, parameters
        # Of scores that say nothing the slope is 0; a single outcome's order is kept all the same.
        lone = len(calibrations) == 1 and calibrations[0].slope == 0
        self.slope = slope = tf.constant([1.0 if lone else one.slope for one in calibrations], tf.float32)
        self.offset = offset = tf.constant([one.offset for one in calibrations], tf.float32)
        aims = parameters.objective
        margin = names.index(aims.margin_feature) if aims.margin else None
        novelty = names.index(aims.novelty_feature) if aims.novelty else None
        self.columns = (margin, novelty)

        def combine(logits: Any, raw: Any) -> Any:
            relevant = relevance(slope * logits + offset, parameters.weights)
            nothing = tf.zeros_like(relevant)
            return combined_score(
                relevant,
                nothing if margin is None else raw[:, margin],
                nothing if novelty is None else raw[:, novelty],
                aims,
            )

        self._combine = combine
        spec = tf.TensorSpec((None, len(names)), tf.float32, "features")
        self.logits = tf.function(self._logits, input_signature=[spec], autograph=False)
        self.score = tf.function(self.combined, input_signature=[spec], autograph=False)
        self.contributions = tf.function(self._contributions, input_signature=[spec], autograph=False)

    def combined(self, features: Any) -> Any:
        """Combined score, float32 ``[n]``."""
        return self._combine(self.model(features, training=False), features)

    def _logits(self, features: Any) -> Any:
        return self.model(features, training=False)

    def _contributions(self, features: Any) -> Any:
        """Gradient × input per feature, float32 ``[n, features]``, both from the typical candidate on."""
        raw, values = filled(features), self.model.standardise(features)
        with tf.GradientTape() as tape:
            tape.watch([raw, values])
            score = self._combine(self.model.logits(values, raw), raw)
        by_raw, by_value = tape.gradient(score, [raw, values], unconnected_gradients="zero")
        value, flag = tf.split(by_value * values, 2, axis=1)
        return value + flag + by_raw * (raw - self.model.standardise.typical)
