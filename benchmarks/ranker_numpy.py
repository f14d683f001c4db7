"""The ranker's forward pass in plain numpy, from the weights of the network: what its speed is measured against."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["NumpyForward"]

_CLIP = np.float32(5.0)

Floats = npt.NDArray[np.float32]


class NumpyForward:
    """Of a network with the head ``dcn`` and one outcome.

    Args:
        model: a :class:`tastemaker.models.ranker.network.RankerModel`, built.
    """

    def __init__(self, model: Any) -> None:
        scales = model.standardise
        self.mean, self.factor, self.flag = (part.numpy() for part in (scales.mean, scales.factor, scales.flag))
        self.crosses = [[weight.numpy() for weight in cross.trainable_variables] for cross in model.crosses]
        self.deep = [weight.numpy() for weight in model.deep.trainable_variables]
        self.out = [weight.numpy() for weight in model.outs[0].trainable_variables]

    def __call__(self, features: Floats) -> Floats:
        """Scores, float32 ``[n]``, of features, float32 ``[n, features]``."""
        missing = np.isnan(features)
        logs = np.log1p(np.abs(features))
        np.copysign(logs, features, out=logs)
        values = np.clip((logs - self.mean) * self.factor, -_CLIP, _CLIP)
        values[missing] = 0.0
        inputs = np.concatenate([values, missing * self.flag], axis=1)
        body = inputs
        for narrow, wide, bias in self.crosses:
            body = inputs * (body @ narrow @ wide + bias) + body
        for kernel, bias in zip(self.deep[::2], self.deep[1::2], strict=True):
            body = np.maximum(body @ kernel + bias, 0.0)
        return (body @ self.out[0] + self.out[1])[:, 0]
