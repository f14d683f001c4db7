"""The trees of a LambdaRank baseline: how many of them, and on how many threads."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError
from tastemaker.models.histories import Floats
from tastemaker.models.protocol import FitContext

if TYPE_CHECKING:
    from lightgbm import Booster

__all__ = ["grow", "predict"]

_MANY = 200_000  # rows that are worth several threads: small data is done before they have met
_JUDGES = 0.2  # of the users tell when to stop
_FEWEST = 20  # users that can tell
_PATIENCE = 20  # trees without a gain


def grow(
    features: Floats,
    labels: npt.NDArray[np.int8],
    groups: npt.NDArray[np.int64],
    *,
    names: list[str],
    trees: int,
    leaves: int,
    learning_rate: float,
    context: FitContext,
) -> "Booster":
    """LambdaRank, stopped when NDCG@10 of users held back no longer rises.

    Args:
        features: ``[pairs, features]``, user by user.
        labels: ``[pairs]``, 1 for what the user took.
        groups: ``[users]``, pairs of each.
        names: of the features.
        trees: at most.
        leaves: of a tree.
        learning_rate: of a tree.
        context: seed and deadline; 30 % of the time left are left.

    Raises:
        DataError: LightGBM is not installed.
    """
    try:
        import lightgbm
    except ModuleNotFoundError as missing:
        raise DataError("lightgbm-ranker needs the package lightgbm; install tastemaker[baselines]") from missing

    held = np.zeros(len(groups), bool)
    n_held = int(len(groups) * _JUDGES)
    if n_held >= _FEWEST:
        held[np.random.default_rng(context.seed).permutation(len(groups))[:n_held]] = True
    rows = np.repeat(held, groups)
    columns = [name.replace(":", "_") for name in names]
    learned = lightgbm.Dataset(features[~rows], labels[~rows], group=groups[~held], feature_name=columns)
    judges = [learned.create_valid(features[rows], labels[rows], group=groups[held])] if held.any() else []
    started = context.remaining_s

    def in_time(environment: Any) -> None:
        if context.remaining_s < 0.3 * started:
            raise lightgbm.callback.EarlyStopException(environment.iteration, environment.evaluation_result_list)

    callbacks: list[Any] = [in_time]
    if judges:
        callbacks.append(lightgbm.early_stopping(_PATIENCE, verbose=False))
    options = {
        "num_threads": 1 if len(labels) < _MANY else 0,
        "objective": "lambdarank",
        "lambdarank_truncation_level": 30,
        "metric": "ndcg",
        "eval_at": [10],
        "num_leaves": leaves,
        "learning_rate": learning_rate,
        "min_data_in_leaf": 50,
        "feature_fraction": 0.8,
        "seed": context.seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    return lightgbm.train(options, learned, trees, valid_sets=judges, callbacks=callbacks)


def predict(trees: "Booster", features: Floats) -> Floats:
    """float32 ``[pairs]``: what the trees say; 0 for no pairs."""
    if not len(features):
        return np.zeros(0, np.float32)
    found = trees.predict(features, num_threads=1 if len(features) < _MANY else 0)
    return np.asarray(found, dtype=np.float32)
