from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

from tastemaker.errors import DataError
from tastemaker.evaluation.compare import compare
from tastemaker.evaluation.interactions import INTERACTIONS
from tastemaker.evaluation.report import EvaluationReport
from tastemaker.evaluation.splits import temporal_split

CUT = datetime(2024, 3, 1, tzinfo=UTC)
USERS = [f"u{number:03}" for number in range(60)]


@pytest.fixture
def truth():
    # Everybody knows a..d; even users take a, odd users take b.
    rows = [(user, item, -1) for user in USERS for item in "abcd"]
    rows += [(user, "ab"[number % 2], 1) for number, user in enumerate(USERS)]
    users, items, hours = zip(*rows, strict=True)
    moments = [CUT + timedelta(hours=hour) for hour in hours]
    table = pa.table({"user_id": users, "item_id": items, "occurred_at": moments}, schema=INTERACTIONS)
    return temporal_split(table, CUT, 1).truth


@pytest.fixture
def report(truth):
    return compare(
        {
            "candidate": {user: ["ab"[number % 2], "c"] for number, user in enumerate(USERS)},
            "champion": {user: ["a", "b"] for user in USERS},
            "popularity": np.array([["c", "a"]] * len(USERS)),
        },
        truth,
        k=2,
        champion="champion",
        period="one day",
    )


def test_values_and_differences_are_those_worked_out_by_hand(report):
    # One relevant item each, so IDCG = 1. Candidate: always rank 1. Champion: rank 1 for half of the users, rank 2
    # (1/log2(3) = .63093) for the others: .81546. Popularity: rank 2 for half of them: .31546.
    assert report.models["candidate"]["ndcg"].value == pytest.approx(1)
    assert report.models["champion"]["ndcg"].value == pytest.approx(0.815465, abs=1e-6)
    assert report.models["popularity"]["ndcg"].value == pytest.approx(0.315465, abs=1e-6)
    assert report.differences["champion"]["ndcg"].value == pytest.approx(0.184535, abs=1e-6)
    assert report.differences["champion"]["ndcg"].low > 0
    # a, b and c of a..d are shown
    assert report.coverage == {"candidate": 0.75, "champion": 0.5, "popularity": 0.5}
    assert "candidate" not in report.differences


def test_roles_are_kept_apart(report):
    assert (report.reference, report.champion, report.baselines) == ("candidate", "champion", ("popularity",))
    assert report.best_baseline() == "popularity"


def test_the_report_survives_json_unchanged(report):
    assert EvaluationReport.from_json(report.to_json()) == report
    assert EvaluationReport.from_json(report.to_json()).to_json() == report.to_json()


def test_something_else_is_no_report():
    with pytest.raises(DataError, match="not an evaluation report"):
        EvaluationReport.from_json(b'{"k": "ten"}')


def test_the_table_fits_100_columns_and_names_every_model(report):
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(report.table())
    text = console.export_text()
    assert all(name in text for name in ("candidate", "champion", "popularity", "one day", "1.000"))
    assert [row["model"] for row in report.rows()] == ["candidate", "champion", "popularity"]


def test_no_test_users_give_a_report_without_estimates(truth):
    empty = type(truth)(truth.user_ids[:0], truth.catalogue, truth.relevant[:0])
    report = compare({"candidate": {}, "popularity": {}}, empty)
    assert (report.users, report.models, report.best_baseline()) == (0, {}, None)
    assert report.table().row_count == 0


@pytest.mark.parametrize(("role", "name"), [("reference", "nobody"), ("champion", "nobody")])
def test_an_absent_role_is_refused(truth, role, name):
    with pytest.raises(DataError, match=f"the {role} 'nobody'"):
        compare({"candidate": {user: ["a"] for user in USERS}}, truth, **{role: name})
