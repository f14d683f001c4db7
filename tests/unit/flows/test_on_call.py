"""What on-call hears of a flow's end, by real runs on a real Prefect server, with an Alertmanager that is away."""

import pytest

from tastemaker.observability.alerts import waiting_alerts
from tastemaker.settings import Settings

pytestmark = pytest.mark.timeout(300)


def test_a_failed_run_is_told_and_resolved_by_the_next_one_that_ends_well(settings: Settings) -> None:
    from prefect import flow
    from prefect.states import Completed

    from flows.on_call import HOOKS

    @flow(name="materialize", **HOOKS)
    def moody(mood: str):
        if mood == "bad":
            raise ConnectionError("the store is away")
        return Completed(name=mood)

    with pytest.raises(ConnectionError):
        moody("bad")
    (told,) = waiting_alerts(settings)
    assert (told.firing, told.alert.name, told.alert.labels) == (True, "FlowFailed", {"flow": "materialize"})
    assert "the store is away" in told.alert.summary
    assert "/runs/flow-run/" in told.alert.annotations["run"]
    figures = settings.observability_dir / "figures"

    moody("Skipped")  # another one is at it, and will tell
    assert waiting_alerts(settings)[0].firing
    assert not list(figures.glob("*.json"))

    moody("Completed")
    (told,) = waiting_alerts(settings)
    assert not told.firing
    assert len(list(figures.glob("*.json"))) == 2  # when it ended well, and when the next one is due
