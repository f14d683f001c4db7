"""A view is built once more, in every store: its rows are replaced, those that the lake does not give go."""

from datetime import timedelta
from pathlib import Path

import pytest

from tastemaker.features.stores.opening import open_online_store
from tastemaker.features.stores.protocol import OnlineStore
from tastemaker.features.streaming import builds
from tastemaker.features.streaming.state import FeatureState
from tests.unit.features.audit_lake import PLAN, event, lake_with, price


def test_rows_are_replaced_while_they_are_read(
    store: OnlineStore, location: Path | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builds, "_BUCKET_EVENTS", 10)  # so that the 40 events make 5 parts
    events = [event(f"e{n}", timedelta(hours=n), user_id=f"u{n % 13}", session_id=f"s{n}") for n in range(1, 41)]
    lake = lake_with(tmp_path / "lake", events, [price("i1", timedelta(days=1), 4.0)])
    first = FeatureState(store, PLAN, lake=lake)
    first.bootstrap(lake)
    view = PLAN.view("by_user").signature
    reader = store.reader()
    right = dict(reader.all_rows(view))
    assert len(right) == 13
    with store.transaction() as tx:
        (wrong,) = tx.get(view, ["u2"])
        assert wrong is not None
        tx.get(view, ["gone", "u1"])
        tx.put(view, ["gone", "u1"], [0, 0], [wrong, wrong])

    state = FeatureState(open_online_store(location), PLAN, lake=lake)
    assert state.begin_build(["by_user", "by_pair"])
    steps = 0
    while state.building:
        steps += 1
        assert steps <= 10, "a store refuses the rows again and again"
        state.build_step(lake)
        assert {f"u{n}" for n in range(13)} <= dict(reader.all_rows(view)).keys()
    assert steps == 10  # two views of five parts
    assert dict(reader.all_rows(view)) == right
    state.close()
    reader.close()
