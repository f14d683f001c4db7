"""A refusal names the line to change."""

import traceback
from pathlib import Path

import pytest

from tastemaker.features.declarations.error import DeclarationError, find_line, located_failure

VIEWS = """from tastemaker import names

first = StreamFeatureView(
    name=names.VIEW_USER_ACTIVITY,
    aggregations=[
        Aggregation("event_id", "count", name="n"),
        Aggregation("event_id", "count", name="m"),
    ],
    schema=[
        Field(name="n", dtype=Int64),
        Field(name="m", dtype=Int64),
    ],
)
second = feast.StreamFeatureView(
    name="other",
    aggregations=[feast.Aggregation("event_id", "count", name="n")],
)


@on_demand_feature_view(name="derived", schema=[Field(name="d", dtype=Int64)])
def derived(inputs):
    return inputs
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "a_broken.py").write_text("def (")
    (tmp_path / "views.py").write_text(VIEWS)
    return tmp_path


@pytest.mark.parametrize(
    ("view", "part", "kind", "line"),
    [
        ("user_activity", "m", "aggregation", "views.py:7"),
        ("user_activity", "m", "field", "views.py:11"),
        ("other", "n", "aggregation", "views.py:16"),
        ("other", "n", "field", "views.py:16"),  # it has no such field: the aggregation is the nearest
        ("other", "missing", "field", "views.py:14"),  # the view
        ("derived", "d", "field", "views.py:20"),
        ("unknown", "n", "field", ""),
    ],
)
def test_line_of_a_part_is_that_of_its_call(repository: Path, view: str, part: str, kind: str, line: str) -> None:
    assert find_line(repository, view, part, kind) == line  # type: ignore[arg-type]


def test_located_error_begins_with_the_line(repository: Path) -> None:
    error = DeclarationError("user_activity", "no.", part="n", kind="aggregation")
    assert str(error) == "view user_activity, aggregation n: no."
    assert str(error.located(repository)) == "views.py:6: view user_activity, aggregation n: no."


def test_error_of_an_unknown_file_has_no_line(tmp_path: Path) -> None:
    assert str(DeclarationError("s", "no.", kind="service").located(tmp_path)) == "service s: no."


def test_what_python_refuses_is_located_by_its_traceback(tmp_path: Path) -> None:
    path = tmp_path / "views.py"
    path.write_text("import datetime\n\nDAY = datetime.timedelta(day=1)\n")
    try:
        exec(compile(path.read_text(), str(path), "exec"))
    except TypeError:
        output = traceback.format_exc()
    assert located_failure(output, tmp_path).startswith("views.py:3: TypeError: 'day' is an invalid keyword")


def test_failure_outside_the_repository_keeps_the_end_of_the_output(tmp_path: Path) -> None:
    output = "\n".join(map(str, range(40)))
    assert located_failure(output, tmp_path).split() == [str(number) for number in range(25, 40)]
