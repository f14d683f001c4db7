"""A training whose labels are shuffled: what was bought is dealt out anew among all purchases.

It is the platform's own training on a lake of its own. What it makes is laid where a run leaves what it trained, so
that the training flow finds it, judges it on the real data, and never knows.
"""

import shutil
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from tastemaker import names
from tastemaker.features.plan import FeaturePlan
from tastemaker.lake.tables import SCHEMAS, Lake
from tastemaker.promotion.kept_run import KeptRun
from tastemaker.promotion.ranking_leaks import look_for_ranking_leaks
from tastemaker.promotion.training_key import content_key
from tastemaker.release.parameters import TrainingParameters
from tastemaker.settings import Settings
from tastemaker.stack.workspace import prepare
from tastemaker.training.pipeline import train_release

__all__ = ["main", "train_on_shuffled_labels"]

# What an event says of its item.
_OF_THE_ITEM = (names.ITEM_ID, names.CATEGORY, names.PRICE)


def train_on_shuffled_labels(
    settings: Settings, home: Path, cut: datetime, *, seed: int, parameters: TrainingParameters
) -> None:
    """Train, and leave the release to the next run of the training flow with this cut, seed and these parameters.

    Args:
        settings: of the platform whose data are used and that will find the release.
        home: scratch; gets a lake.
        cut: see :func:`~tastemaker.training.pipeline.train_release`.
        seed: of the training and of the shuffle.
        parameters: of the training.
    """
    own = settings.model_copy(update={"home": home})
    _shuffle(Lake(settings.lake_dir), Lake(own.lake_dir), cut, seed)
    prepare(own)
    if settings.content_path.exists():
        shutil.copytree(settings.content_path.parent, own.content_path.parent, dirs_exist_ok=True)
    key = content_key(settings, cut, parameters=parameters.model_dump(mode="json"), seed=seed)
    kept = KeptRun(settings, key)
    plan = FeaturePlan.load(own.plan_path)
    look_for_ranking_leaks(train_release(own, plan, cut, kept.release_dir, seed=seed, parameters=parameters), seed)
    kept.note_trained()
    shutil.rmtree(home, ignore_errors=True)


def _shuffle(source: Lake, target: Lake, cut: datetime, seed: int) -> None:
    target.create()
    with source.connect() as duck:
        for table in (names.TABLE_ITEMS, names.TABLE_ITEM_CONTENT):
            target.append(table, _as_arrow(duck.execute(f"SELECT * FROM {table}").to_arrow_table(), table), {"copy": 1})
        events = duck.execute(
            f"SELECT * FROM {names.TABLE_EVENTS} WHERE {names.OCCURRED_AT} < ? ORDER BY {names.EVENT_ID}", [cut]
        ).to_arrow_table()
    order = pa.array(np.random.default_rng(seed).permutation(events.num_rows))
    for name in _OF_THE_ITEM:
        events = events.set_column(events.schema.get_field_index(name), name, events[name].take(order))
    target.append(names.TABLE_EVENTS, _as_arrow(events, names.TABLE_EVENTS), {"copy": 1})


def _as_arrow(rows: pa.Table, table: str) -> pa.Table:
    return rows.select(SCHEMAS[table].names).cast(SCHEMAS[table])


def main() -> None:
    """``python -m tastemaker.stack.rehearsal.shuffled SCRATCH CUT SEED PARAMETERS``, the last one as JSON."""
    home, cut, seed, parameters = sys.argv[1:]
    train_on_shuffled_labels(
        Settings.from_env(),
        Path(home),
        datetime.fromisoformat(cut),
        seed=int(seed),
        parameters=TrainingParameters.model_validate_json(parameters),
    )


if __name__ == "__main__":
    main()
