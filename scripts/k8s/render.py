"""Writes manifests/rendered anew: what ``kubectl kustomize`` makes of each overlay, and before it the alert rules.

    python scripts/k8s/render.py

The tests validate what is rendered, so that they need no kubectl, and hold it against the sources where there is one.
"""

import subprocess
import sys
from pathlib import Path
from shutil import which
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
OVERLAYS = ROOT / "manifests" / "overlays"
RENDERED = ROOT / "manifests" / "rendered"
RULES = ROOT / "monitoring" / "prometheus" / "rules"
PROMETHEUS_RULES = ROOT / "manifests" / "base" / "monitoring" / "rules.yaml"
_HEADER = "# Made of {source} by scripts/k8s/render.py; change that.\n"


def overlays() -> list[str]:
    """Names of the overlays."""
    return sorted(path.name for path in OVERLAYS.iterdir() if (path / "kustomization.yaml").is_file())


def kubectl() -> str | None:
    """A kubectl: on the PATH, or built for ``make e2e-k8s``."""
    built = sorted(ROOT.glob(".cache/k8s/*/bin/kubectl"))
    return which("kubectl") or (str(built[-1]) if built else None)


def render(overlay: str, program: str) -> str:
    """What kustomize makes of an overlay, as YAML.

    Raises:
        subprocess.CalledProcessError: it does not render; the reason is on its stderr.
    """
    done = subprocess.run([program, "kustomize", str(OVERLAYS / overlay)], capture_output=True, text=True, check=True)
    return done.stdout


def prometheus_rules() -> list[dict[str, Any]]:
    """Each file of Prometheus' rules as an object for its operator."""
    return [
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": f"tastemaker-{path.stem}"},
            "spec": {"groups": yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]},
        }
        for path in sorted(RULES.glob("*.y*ml"))
    ]


def main() -> int:
    """Write the rules, and render every overlay."""
    program = kubectl()
    if program is None:
        print("there is no kubectl on the PATH, and none was built; make e2e-k8s builds one", file=sys.stderr)
        return 1
    text = "---\n".join(yaml.safe_dump(rule, sort_keys=False, width=120) for rule in prometheus_rules())
    PROMETHEUS_RULES.write_text(_HEADER.format(source="monitoring/prometheus/rules") + text, encoding="utf-8")
    RENDERED.mkdir(exist_ok=True)
    for overlay in overlays():
        text = _HEADER.format(source=f"manifests/overlays/{overlay}") + render(overlay, program)
        (RENDERED / f"{overlay}.yaml").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
