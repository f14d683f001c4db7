"""Going on after a kill, and training on several workers."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tastemaker.models.histories import Histories
from tastemaker.models.protocol import FitContext
from tastemaker.models.two_tower.model import TwoTower

_PROGRAM = """
import json, sys
import numpy as np
from tastemaker.models.histories import Histories
from tastemaker.models.protocol import FitContext
from tastemaker.models.two_tower.model import TwoTower
generator = np.random.default_rng(0)
train = Histories.of(
    np.repeat(np.arange(60), 6), (generator.integers(0, 12, 60)[:, None] + np.arange(6)).ravel() % 12,
    n_users=60, n_items=12, times=np.tile(np.arange(6), 60),
)
model = TwoTower(
    encoder="weighted-mean", strategy=sys.argv[1], dimension=8, window=8, batch=64, epochs=4, learning_rate=0.02,
)
model.fit(train, FitContext(seed=1, validation=(train.take(np.arange(5)), train.take(np.arange(5)))))
asked = train.take(np.arange(3))
print("RESULT " + json.dumps([model.curve.steps[-1], model.score(asked).tolist()]))
"""


class _Killed(Exception):
    """Stands for the end of the process."""


def _train() -> Histories:
    generator = np.random.default_rng(0)
    items = (generator.integers(0, 30, 400)[:, None] + np.arange(8)).ravel() % 30
    return Histories.of(np.repeat(np.arange(400), 8), items, n_users=400, n_items=30, times=np.tile(np.arange(8), 400))


def test_a_killed_training_goes_on_and_ends_alike(tmp_path: Path) -> None:
    def model(folder: Path | None) -> TwoTower:
        return TwoTower(
            encoder="weighted-mean", checkpoint_dir=folder, dimension=8, window=8, batch=64, epochs=3, dropout=0.2
        )

    lines: list[str] = []

    def killer(line: str) -> None:
        lines.append(line)
        if len(lines) == 3:
            raise _Killed

    with pytest.raises(_Killed):
        model(tmp_path / "kept").fit(_train(), FitContext(seed=2, progress=killer))
    after: list[str] = []
    resumed = model(tmp_path / "kept").fit(_train(), FitContext(seed=2, progress=after.append))
    whole = model(None).fit(_train(), FitContext(seed=2))
    # The third evaluation was told but not kept: it is done once more, and nothing before it.
    assert after[0] == lines[2]
    assert resumed.curve.steps == whole.curve.steps
    asked = _train().take(np.arange(5))
    np.testing.assert_allclose(resumed.score(asked), whole.score(asked), rtol=0, atol=1e-5)
    assert not (tmp_path / "kept").exists()  # the training is over


def test_a_checkpoint_of_other_data_is_left_alone(tmp_path: Path) -> None:
    def stop(line: str) -> None:
        if " 100 steps" in line:
            raise _Killed

    parameters = {"encoder": "weighted-mean", "dimension": 8, "window": 8, "batch": 64, "epochs": 3}
    with pytest.raises(_Killed):
        TwoTower(checkpoint_dir=tmp_path, **parameters).fit(_train(), FitContext(seed=2, progress=stop))
    assert (tmp_path / "state.json").exists()
    lines: list[str] = []
    TwoTower(checkpoint_dir=tmp_path, **parameters).fit(
        _train().take(np.arange(300)), FitContext(seed=2, progress=lines.append)
    )
    first = int(lines[0].split(": ")[1].split(" ")[0])
    assert first <= 50  # from the beginning


def _free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def test_two_workers_train_one_model() -> None:
    workers = [f"127.0.0.1:{port}" for port in _free_ports(2)]
    processes = []
    for index in range(2):
        told = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        environment = os.environ | {"TF_CONFIG": json.dumps(told), "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, "-c", _PROGRAM, "multi-worker"]
        processes.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
    try:
        told_all = [process.communicate(timeout=240) for process in processes]
    finally:
        for process in processes:
            process.kill()
    results = []
    for out, err in told_all:
        lines = [line for line in out.splitlines() if line.startswith("RESULT ")]
        assert lines, err[-2000:]
        results.append(json.loads(lines[0].removeprefix("RESULT ")))
    # Both saw the same gradients and end with the same model.
    assert results[0][0] == results[1][0] > 0
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=0, atol=1e-4)
