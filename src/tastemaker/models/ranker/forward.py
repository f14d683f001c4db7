"""The trained ranker in plain numpy: the scores of one request on one core.

For some hundred candidates the arithmetic takes a third of a millisecond. TensorFlow takes as long again for handing
the call to a thread of its pool and back, and on a busy machine many times as long: each hand-over waits for its turn.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError

if TYPE_CHECKING:
    from tastemaker.models.ranker.scoring import ScoringModule

__all__ = ["FORWARD", "Forward"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

FORWARD: Final = "forward.npz"
_CLIP: Final = np.float32(5.0)
_PRODUCT: Final = ("user", "item", "user_factors", "item_factors", "out")


class Forward:
    """Combined scores, as :class:`~tastemaker.models.ranker.scoring.ScoringModule` gives them.

    Args:
        arrays: weights by name, as :meth:`of` and :meth:`load` find them.
    """

    def __init__(self, arrays: dict[str, Array]) -> None:
        self._arrays = arrays
        get = arrays.get
        self._scales = arrays["mean"], arrays["factor"], arrays["flag"]
        self._crosses = self._numbered("cross", 3)
        experts = sum(name.startswith("expert.") and name.endswith(".0.0") for name in arrays)
        self._experts = [self._numbered(f"expert.{at}", 2) for at in range(experts)]
        self._gate = None if "gate.0" not in arrays else (arrays["gate.0"], arrays["gate.1"])
        self._outs = self._numbered("out", 2)
        self._wide, self._start = get("wide"), get("start")
        self._product = None if "product.user" not in arrays else [arrays[f"product.{part}"] for part in _PRODUCT]
        self._slope, self._offset = arrays["slope"], arrays["offset"]
        self._log_weights, self._aims, self._columns = arrays["log_weights"], arrays["aims"], arrays["columns"]

    @classmethod
    def of(cls, trained: "ScoringModule") -> Self:
        """The weights of a trained ranker."""
        model = trained.model
        found: dict[str, Array] = {}
        for name in ("mean", "factor", "flag"):
            found[name] = getattr(model.standardise, name).numpy()
        layers = {f"cross.{at}": cross for at, cross in enumerate(model.crosses)}
        for at, network in enumerate([model.deep] if model.experts is None else model.experts.networks):
            dense = [layer for layer in network.layers if layer.trainable_variables]
            layers.update({f"expert.{at}.{depth}": layer for depth, layer in enumerate(dense)})
        layers.update({f"out.{at}": out for at, out in enumerate(model.outs)})
        if model.experts is not None:
            layers["gate"] = model.experts.gates
        for name, layer in layers.items():
            found.update({f"{name}.{at}": weight.numpy() for at, weight in enumerate(layer.trainable_variables)})
        if model.wide is not None:
            found["wide"] = model.wide.kernel.numpy()
        if model.product is not None:
            product = model.product
            parts = (product.user, product.item, product.user_factors.kernel, product.item_factors.kernel)
            found.update({f"product.{name}": part.numpy() for name, part in zip(_PRODUCT, parts, strict=False)})
            found["product.out"] = model.product_out.kernel.numpy()
        if model.start_factor is not None:
            found["start"] = (model.start_factor * model.start_weights).numpy()
        found |= {"slope": trained.slope.numpy(), "offset": trained.offset.numpy()}
        found["log_weights"] = np.log(np.array(trained.parameters.weights, dtype=np.float32))
        aims = trained.parameters.objective
        found["aims"] = np.array([aims.relevance, aims.margin, aims.novelty], dtype=np.float32)
        found["columns"] = np.array([-1 if at is None else at for at in trained.columns])
        return cls(found)

    def save(self, directory: Path) -> None:
        """Write the weights into a directory."""
        np.savez(directory / FORWARD, **self._arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            DataError: there is nothing, or it does not read.
        """
        try:
            with np.load(directory / FORWARD) as found:
                return cls(dict(found))
        except FileNotFoundError as error:
            raise DataError(f"{directory} holds no exported ranker: it has no {FORWARD}; train it again") from error
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{directory / FORWARD} does not read ({error}); train the ranker again") from error

    def __call__(self, features: Floats) -> Floats:
        """Scores, float32 ``[n]``, of features, float32 ``[n, features]`` with NaN where a value is missing."""
        mean, factor, flag = self._scales
        missing = np.isnan(features)
        logs = np.log1p(np.abs(features))
        np.copysign(logs, features, out=logs)
        values = np.clip((logs - mean) * factor, -_CLIP, _CLIP)
        values[missing] = 0.0
        inputs = np.concatenate([values, missing * flag], axis=1)
        logits = self._logits(inputs, np.where(missing, np.float32(0.0), features))
        return self._combined(logits, features)

    def _logits(self, inputs: Floats, raw: Floats) -> Floats:
        body = inputs
        for narrow, wide, bias in self._crosses:
            body = inputs * (body @ narrow @ wide + bias) + body
        deep = [_dense(layers, body) for layers in self._experts]
        if self._gate is None:
            found = deep[0] @ self._outs[0][0] + self._outs[0][1]
        else:
            gates = (inputs @ self._gate[0] + self._gate[1]).reshape(len(inputs), len(self._outs), len(deep))
            gates = np.exp(gates - gates.max(axis=2, keepdims=True))
            mixed = (gates / gates.sum(axis=2, keepdims=True)) @ np.stack(deep, axis=1)
            found = np.concatenate(
                [mixed[:, at] @ kernel + bias for at, (kernel, bias) in enumerate(self._outs)], axis=1
            )
        if self._wide is not None:
            found += inputs @ self._wide
        if self._product is not None:
            user, item, user_factors, item_factors, out = self._product
            found += ((raw[:, user] @ user_factors) * (raw[:, item] @ item_factors)) @ out
        if self._start is not None:
            found += raw @ self._start
        return np.asarray(found, dtype=np.float32)

    def _combined(self, logits: Floats, features: Floats) -> Floats:
        """As :func:`~tastemaker.models.ranker.objective.relevance` and ``combined_score`` beside it."""
        odds = self._slope * logits + self._offset + self._log_weights
        top = odds.max(axis=1)
        score = top if odds.shape[1] == 1 else top + np.log(np.exp(odds - top[:, None]).sum(axis=1))
        score = self._aims[0] * score
        margin, novelty = self._columns
        if margin >= 0:
            score = score + self._aims[1] * np.log1p(np.maximum(np.nan_to_num(features[:, margin], nan=0.0), 0.0))
        if novelty >= 0:
            score = score + self._aims[2] * np.nan_to_num(features[:, novelty], nan=0.0)
        return np.asarray(score, dtype=np.float32)

    def _numbered(self, name: str, parts: int) -> list[list[Array]]:
        found: list[list[Array]] = []
        while f"{name}.{len(found)}.0" in self._arrays:
            found.append([self._arrays[f"{name}.{len(found)}.{part}"] for part in range(parts)])
        return found


def _dense(layers: list[list[Array]], body: Floats) -> Floats:
    for kernel, bias in layers:
        body = np.maximum(body @ kernel + bias, np.float32(0.0))
    return body
