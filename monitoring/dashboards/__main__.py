"""Write the JSON files of the dashboards beside this file."""

from pathlib import Path

from monitoring.dashboards.files import DASHBOARDS, text_of

for dashboard in DASHBOARDS:
    path = Path(__file__).with_name(f"{dashboard.uid}.json")
    path.write_text(text_of(dashboard))
    print(path)
