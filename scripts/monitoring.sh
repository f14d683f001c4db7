#!/usr/bin/env bash
# Fetches Prometheus, Alertmanager and their tools into .cache/monitoring: no root, nothing installed or started.
set -euo pipefail
cd "$(dirname "$0")/.."
exec env PYTHONPATH=src .venv/bin/python -m tastemaker.stack.monitoring.packages
