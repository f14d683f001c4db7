"""The main job, as a newcomer runs it: real shopping data to a served, explained list that reacts to a click."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def test_demo_closes_the_loop_and_leaves_no_process(tmp_path: Path) -> None:
    env = {**os.environ, "TASTEMAKER_HOME": str(tmp_path / "home"), "COLUMNS": "120"}
    done = subprocess.run(
        [sys.executable, "-m", "tastemaker.cli", "demo", "--once"],
        env=env,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "The loop is closed." in done.stdout
    assert done.stdout.count("✗") == 0
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) not in left
