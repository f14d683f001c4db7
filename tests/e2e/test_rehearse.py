"""The story of four releases, as anybody can rehearse it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

_ACTS = (
    "A good candidate is promoted",
    "A degraded candidate, its labels shuffled, is blocked",
    "A candidate that is bad online is rolled back",
    "Drifted data are blocked, with an alert",
)


def _acts(said: str) -> dict[str, list[str]]:
    """The evidence of each act that held: the indented lines that follow it."""
    found: dict[str, list[str]] = {}
    lines = None
    for line in said.splitlines():
        if held := re.match(r" *[0-9.]+ s  ✓ (.*)", line):
            lines = found.setdefault(held[1].strip(), [])
        elif line.startswith(" " * 12):
            if lines is not None:
                lines.append(line.strip())
        else:
            lines = None
    return found


def test_rehearse_ends_each_act_as_it_has_to_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tastemaker.cli", "rehearse"],
        env={**os.environ, "COLUMNS": "200", "TMPDIR": str(tmp_path)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    if "make monitoring" in done.stderr:
        pytest.skip("Alertmanager is not there; fetch it with: make monitoring")
    said = done.stdout
    assert done.returncode == 0, said[-12000:] + done.stderr[-3000:]
    acts = _acts(said)
    assert tuple(acts) == _ACTS
    good, degraded, disliked, drifted = acts.values()

    promoted = re.match(r"Promoted: tastemaker-recommender:(\S+), NDCG@10 (0\.\d+)", good[0])
    assert promoted
    assert float(promoted[2]) > 0.3  # own frequency reaches .32 on these shoppers, and what is popular .08
    assert not [line for line in good if "FAILED" in line or "cannot tell" in line]

    quality = next(line for line in degraded if "baseline_quality FAILED" in line)
    assert float(re.search(r"ndcg@10 (0\.\d+)", quality)[1]) < float(promoted[2])  # type: ignore[index]
    assert f"in production: {promoted[1]}, as before" in degraded
    assert [line for line in degraded if line.startswith("on-call: GateBlocked: ")]

    assert not [line for line in disliked if "FAILED" in line]
    assert [line for line in disliked if line.startswith("reverting canary-50: ") and "clicks" in line]
    shown = [line for line in disliked if re.fullmatch(r"[0-9,]+ lists and [0-9,]+ clicks of the \w+", line)]
    rates = [int(b) / int(a) for a, b in (re.findall(r"\d+", line.replace(",", "")) for line in shown)]
    assert rates[1] < rates[0]  # the champion's, then the candidate's
    assert "0 requests failed" in disliked
    assert [line for line in disliked if line.startswith(f"all lists by {promoted[1]} again: yes")]
    assert [line for line in disliked if line.startswith("on-call: ReleaseRolledBack: ")]

    drift = next(line for line in drifted if "drift FAILED" in line)
    assert "targets: price" in drift
    assert "targets: value" in drift
    assert not [line for line in drifted if "quality FAILED" in line and "data_quality" not in line]
    assert [line for line in drifted if line.startswith("drift check: Drifted: ")]
    assert [line for line in drifted if line.startswith("on-call: Drift: ")]

    # TensorFlow and Feast leave small files of their own in the directory for temporary files; the home is gone.
    assert not list(tmp_path.glob("tastemaker-rehearsal-*"))
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) not in left
