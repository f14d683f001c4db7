"""The command as a person meets it: help that teaches, errors in a line, exit statuses."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tastemaker.cli.app import app
from tastemaker.cli.data import load_source, replay_start
from tastemaker.errors import DataError

COMMANDS = [
    ["demo"], ["up"], ["status"], ["logs"], ["down"], ["train"], ["recommend"], ["recommend", "batch"], ["send"],
    ["data", "import"], ["data", "replay"],
    ["features", "apply"], ["features", "list"], ["features", "materialize"], ["features", "rebuild"],
    ["lake", "status"], ["lake", "compact"], ["lake", "expire"],
    ["dead-letters", "list"], ["dead-letters", "show"], ["dead-letters", "replay"],
    ["releases", "list"], ["releases", "show"], ["releases", "build"],
    ["releases", "promote"], ["releases", "rollback"],
]  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TASTEMAKER_HOME", str(tmp_path / "home"))
    for port in ("RECOMMENDER", "COLLECTOR", "PREFECT"):
        monkeypatch.setenv(f"TASTEMAKER_{port}_PORT", "1")  # nothing listens there
    return tmp_path / "home"


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tastemaker.cli", *words], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(command: list[str]) -> None:
    shown = CliRunner().invoke(app, [*command, "--help"])
    assert shown.exit_code == 0
    assert len(shown.output.split("Options")[0].split()) > 8


def test_help_names_the_first_command_to_run_and_loads_nothing_heavy() -> None:
    code = "import sys, tastemaker.cli.app; print([m for m in ('tensorflow', 'feast', 'prefect') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
    assert "tastemaker demo" in CliRunner().invoke(app, ["--help"]).output


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("recommend", "--user", "u"), "tastemaker up"),
        (("send", "--item", "i", "--user", "u"), "tastemaker up"),
        (("releases", "show"), "tastemaker train"),
        (("releases", "rollback"), "promote"),
        (("features", "list"), "tastemaker features apply"),
        (("data", "import", "no-such.csv"), "--mapping"),
        (("logs", "worker"), "start the stack"),
    ],
)
@pytest.mark.usefixtures("home")
def test_errors_are_a_line_with_the_remedy_and_status_1(words: tuple[str, ...], remedy: str) -> None:
    done = run(*words)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert remedy in " ".join(done.stderr.split())


@pytest.mark.usefixtures("home")
def test_status_without_a_stack_says_how_to_start_one_and_exits_1() -> None:
    done = run("status")
    assert done.returncode == 1
    assert "tastemaker up" in done.stdout


def test_load_source_reads_a_file_by_its_mapping(tmp_path: Path) -> None:
    (tmp_path / "shop.csv").write_text("who,what,when\nu1,i1,2024-03-01T10:00:00Z\nu2,i1,2024-03-02T10:00:00Z\n")
    columns = {"user_id": "who", "item_id": "what", "occurred_at": "when", "type": "=purchase"}
    (tmp_path / "map.yaml").write_text(yaml.safe_dump({"columns": columns}))
    dataset = load_source(str(tmp_path / "shop.csv"), tmp_path / "map.yaml", tmp_path)
    assert dataset.events.num_rows == 2
    # The data ends within 2024-03-02: one live day begins at its midnight.
    assert replay_start(dataset, 1) == datetime(2024, 3, 2, tzinfo=UTC)
    assert replay_start(dataset, 0) > dataset.last_event
    assert replay_start(dataset, 0) - dataset.last_event < timedelta(days=1)


def test_load_source_mapping_with_an_unknown_key_names_the_file_and_the_keys(tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text("colums: {}\n")
    with pytest.raises(DataError, match=r"map\.yaml.*columns"):
        load_source("x.csv", tmp_path / "map.yaml", tmp_path)
