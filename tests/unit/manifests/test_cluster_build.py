"""What building the test cluster says where something is missing."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[3] / "scripts" / "k8s"
TOOLS = ("bash", "cat", "cut", "dirname", "head", "sed", "sha256sum", "sort")


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The script in a repository where nothing is built."""
    shutil.copytree(SOURCE, tmp_path / "scripts" / "k8s", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "scripts" / "k8s" / "build.sh"


def run(script: Path, *options: str, go: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run it with a PATH of the tools that it needs, and with a Go that says it is of some version, or none."""
    binaries = script.parents[2] / "bin"
    binaries.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (binaries / tool).symlink_to(found)
    if go is not None:
        (binaries / "go").write_text(f"#!/bin/sh\necho {go}\n")
        (binaries / "go").chmod(0o755)
    bash = shutil.which("bash")
    assert bash is not None
    return subprocess.run(
        [bash, str(script), *options],
        env={"PATH": str(binaries), "HOME": os.environ.get("HOME", "/")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_go_it_says_that_go_alone_is_missing(script: Path) -> None:
    done = run(script)
    assert done.returncode == 1
    assert "Go is not installed" in done.stderr
    assert "Install Go 1.26 or newer" in done.stderr
    assert "Nothing else is missing" in done.stderr


def test_a_go_that_is_too_old_is_told_with_both_versions(script: Path) -> None:
    done = run(script, go="go1.21.3")
    assert done.returncode == 1
    assert "Go is 1.21.3" in done.stderr
    assert "needs 1.26 or newer" in done.stderr


def test_a_check_builds_nothing_and_says_how_to_build(script: Path) -> None:
    done = run(script, "--check", go="go1.26.8")
    assert done.returncode == 1
    assert "build them once with: make e2e-k8s" in done.stderr
    assert not (script.parents[2] / ".cache").exists()


def test_what_was_built_is_found_by_version_without_go(script: Path) -> None:
    first = run(script, "--check")
    assert first.returncode == 1
    digest = subprocess.run(
        f"cat {script.parent}/versions.env {script.parent}/go/*/go.mod {script.parent}/go/*/go.sum | sha256sum",
        shell=True, capture_output=True, text=True, check=True,
    ).stdout[:12]  # fmt: skip
    folder = script.parents[2] / ".cache" / "k8s" / digest
    folder.mkdir(parents=True)
    (folder / ".built").touch()
    shutil.rmtree(script.parents[2] / "bin")
    done = run(script)
    assert (done.returncode, done.stdout.strip()) == (0, str(folder))
    shutil.rmtree(script.parents[2] / "bin")
    with (script.parent / "versions.env").open("a") as file:
        file.write("# another version\n")
    assert run(script, "--check").returncode == 1
