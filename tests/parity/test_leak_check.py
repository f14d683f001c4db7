"""A leak that is planted into a real training frame is named by the check; without one the check is silent."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tastemaker import names
from tastemaker.events.adapters import online_retail
from tastemaker.features.audit.leak_check import check_services, label_frame
from tastemaker.features.audit.leaks import LeakFound, LeakLimits, require_no_leak
from tastemaker.features.repository import apply
from tastemaker.lake.tables import SCHEMAS, Lake
from tastemaker.settings import Settings

REPOSITORY = Path(__file__).parents[2]
AT, DAYS = datetime(2011, 10, 14, tzinfo=UTC), 28
SERVICES = (names.SERVICE_RANKING, names.SERVICE_RETRIEVAL)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(home=tmp_path_factory.mktemp("home"), repository=REPOSITORY)
    dataset = online_retail.load(REPOSITORY / "data" / "online_retail.parquet")
    lake = Lake(settings.lake_dir)
    lake.create()
    lake.append(names.TABLE_EVENTS, dataset.events, {"test": 0})
    lake.append(names.TABLE_ITEMS, dataset.items, {"test": 0})
    apply(settings)
    return settings


def test_label_frame_is_of_known_shoppers_and_items_and_both_outcomes(settings: Settings) -> None:
    margin = LeakLimits().margin
    frame = label_frame(Lake(settings.lake_dir), AT, DAYS, margin=margin, rows=500)
    assert (frame["label"] == 1).sum() == 500
    assert 250 < (frame["label"] == 0).sum() <= 500
    assert not frame.duplicated(["user_id", "item_id", "label"]).all()
    with Lake(settings.lake_dir).connect() as duck:
        duck.register("frame", frame)
        ((wrong,),) = duck.execute(
            """SELECT count(*) FROM frame WHERE label <> (SELECT count(*) > 0 FROM events AS e WHERE e.type = 'purchase'
            AND e.user_id = frame.user_id AND e.item_id = frame.item_id AND e.occurred_at >= $at
            AND e.occurred_at < $end)::INTEGER""",
            {"at": AT, "end": AT + timedelta(days=DAYS)},
        ).fetchall()
        ((unknown,),) = duck.execute(
            "SELECT count(*) FROM frame WHERE user_id NOT IN (SELECT user_id FROM events WHERE user_id IS NOT NULL"
            " AND occurred_at < $known) OR item_id NOT IN (SELECT item_id FROM events WHERE occurred_at < $known)",
            {"known": AT - margin},
        ).fetchall()
    assert (wrong, unknown) == (0, 0)


def test_nothing_bought_gives_no_answer(settings: Settings) -> None:
    assert check_services(settings, SERVICES, datetime(2015, 1, 1, tzinfo=UTC), DAYS) == []


def test_real_features_pass_and_a_planted_leak_is_named(settings: Settings) -> None:
    clean = check_services(settings, SERVICES, AT, DAYS, rows=1500)
    assert len(clean) == 25  # 21 of ranking and four lists of texts of retrieval
    assert [one.feature for one in clean if one.leak] == []
    require_no_leak(clean)

    # Someone writes looks into the log after the fact, at the wrong time: most purchases of the label's window were
    # "looked at" an hour before it began. Every feature over looks now knows what will be bought.
    lake = Lake(settings.lake_dir)
    with lake.connect() as duck:
        leaked = duck.execute(
            """SELECT * REPLACE ('leak-' || event_id AS event_id, 'view' AS type, $before::TIMESTAMPTZ AS occurred_at,
            $before::TIMESTAMPTZ AS ingested_at) FROM events WHERE type = 'purchase' AND user_id IS NOT NULL
            AND occurred_at >= $at AND occurred_at < $end AND hash(event_id) % 10 < 7""",
            {"before": AT - timedelta(hours=1), "at": AT, "end": AT + timedelta(days=DAYS)},
        ).to_arrow_table()
    lake.append(names.TABLE_EVENTS, leaked.cast(SCHEMAS[names.TABLE_EVENTS]), {"test": 1})
    found = check_services(settings, SERVICES, AT, DAYS, rows=1500)
    leaks = {one.feature for one in found if one.leak}
    assert "user_history.user_items" in leaks
    assert leaks <= {"user_history.user_items", "item_activity.item_views_7d"}  # all that sees looks
    with pytest.raises(LeakFound, match=r"feature user_history\.user_items knows the label: .* 24 h earlier"):
        require_no_leak(found)
