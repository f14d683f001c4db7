"""All dashboards, and the text of their files."""

import json

from monitoring.dashboards.panel import Dashboard, dashboard_json
from monitoring.dashboards.releases import RELEASES
from monitoring.dashboards.serving import SERVING
from monitoring.dashboards.stream import STREAM

__all__ = ["DASHBOARDS", "text_of"]

DASHBOARDS = (SERVING, STREAM, RELEASES)


def text_of(dashboard: Dashboard) -> str:
    """What ``<uid>.json`` holds."""
    return json.dumps(dashboard_json(dashboard), indent=2, ensure_ascii=False) + "\n"
