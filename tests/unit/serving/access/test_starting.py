"""A worker that may not serve takes the server that would start it again with it, and nobody else."""

import os
import signal
import subprocess
import sys

import pytest

from tastemaker.errors import ServingError
from tastemaker.serving.access.starting import ending_the_server

# A parent that is called as BentoML is, and a worker that is refused; the parent tells how it ended.
_WORKER = """
import sys
from tastemaker.errors import ServingError
from tastemaker.serving.access.starting import ending_the_server
sys.argv[0] = "/somewhere/_bentoml_impl/worker/service.py"
with ending_the_server():
    raise ServingError("it may not listen there")
"""
_PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]]); print('survived')"


def run_parent(*called: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _PARENT, _WORKER, *called]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=dict(os.environ))


def test_refused_worker_ends_bentoml_serve():
    done = run_parent("bentoml", "serve")
    assert done.returncode == -signal.SIGTERM
    assert "survived" not in done.stdout


def test_refused_worker_of_something_else_ends_alone():
    done = run_parent("pytest")
    assert done.returncode == 0
    assert "survived" in done.stdout
    assert "refused to start: it may not listen there" in done.stderr


def test_in_process_nobody_is_signalled(monkeypatch):
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("a process was signalled"))
    with pytest.raises(ServingError), ending_the_server():
        raise ServingError("it may not listen there")
