"""What is validated is what kustomize makes of the sources."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from manifest_objects import OVERLAYS, RENDERED, objects

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "k8s" / "render.py"
REMEDY = "run: python scripts/k8s/render.py"


@pytest.fixture(scope="module")
def render() -> ModuleType:
    spec = importlib.util.spec_from_file_location("k8s_render", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_overlay_is_rendered_and_nothing_else() -> None:
    assert sorted(path.stem for path in RENDERED.glob("*.yaml")) == OVERLAYS


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_is_rendered_is_what_kustomize_makes_of_the_overlay(overlay: str, render: ModuleType) -> None:
    program = render.kubectl()
    if program is None:
        pytest.skip("there is no kubectl on the PATH, and make e2e-k8s has built none")
    made = [found for found in yaml.safe_load_all(render.render(overlay, program)) if found]
    assert made == objects(overlay), REMEDY


def test_the_alert_rules_are_those_of_monitoring(render: ModuleType) -> None:
    kept = [found for found in yaml.safe_load_all(render.PROMETHEUS_RULES.read_text(encoding="utf-8")) if found]
    assert kept == render.prometheus_rules(), REMEDY
