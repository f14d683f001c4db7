"""The dashboard of releases, of what decides on them, and of the flows."""

from monitoring.dashboards.panel import Dashboard, Panel

__all__ = ["RELEASES"]

RELEASES = Dashboard(
    "tastemaker-releases",
    "Tastemaker: releases",
    "Which release serves, what the gate and the comparisons said last, and whether the flows run.",
    [
        (
            "What serves",
            [
                Panel(
                    "Serving release",
                    {"{{release}}": "max by (release) (tastemaker_release) == 1"},
                    "short",
                    "",
                    "stat",
                ),
                Panel(
                    "Another release is wanted",
                    {"{{instance}}": "tastemaker_release_pending"},
                    "short",
                    "1 while it is being loaded, or does not load.",
                    "stat",
                    limit=1,
                ),
                Panel("Time to load", {"{{instance}}": "tastemaker_release_load_seconds"}, "s", "", "stat"),
                Panel(
                    "Take-overs",
                    {"{{outcome}}": "sum by (outcome) (increase(tastemaker_release_swaps_total[1h]))"},
                    "short",
                    width=12,
                ),
                Panel(
                    "Last rollback",
                    {"{{target}}": "max by (target) (tastemaker_rollback_timestamp_seconds) * 1000"},
                    "dateTimeFromNow",
                    "",
                    "stat",
                    12,
                ),
            ],
        ),
        (
            "Gate and drift",
            [
                Panel(
                    "Blocked",
                    {"{{policy}}": "max by (policy) (tastemaker_gate_blocked)"},
                    "short",
                    "1 while the last candidate was blocked.",
                    "stat",
                    limit=1,
                ),
                Panel(
                    "Last judged",
                    {"{{policy}}": "max by (policy) (tastemaker_gate_decided_timestamp_seconds) * 1000"},
                    "dateTimeFromNow",
                    "",
                    "stat",
                ),
                Panel(
                    "Last compared",
                    {"{{kind}}": "max by (kind) (tastemaker_drift_checked_timestamp_seconds) * 1000"},
                    "dateTimeFromNow",
                    "",
                    "stat",
                ),
                Panel(
                    "Columns that drifted",
                    {"{{kind}}": "max by (kind) (tastemaker_drift_share)"},
                    "percentunit",
                    width=12,
                ),
                Panel("Drift", {"{{kind}}": "max by (kind) (tastemaker_drifted)"}, "short", "1 is an alert.", width=12),
            ],
        ),
        (
            "Flows",
            [
                Panel(
                    "Since the last success, of what is allowed",
                    {
                        "{{flow}}": "(time() - max by (flow) (tastemaker_flow_last_success_timestamp_seconds))"
                        " / on (flow) max by (flow) (tastemaker_flow_due_seconds)"
                    },
                    "percentunit",
                    "Above 1 the next success is late, and it is a ticket.",
                    width=16,
                    limit=1,
                ),
                Panel(
                    "Alerts that wait for Alertmanager",
                    {"waiting": "max(tastemaker_alerts_waiting)"},
                    "short",
                    "Alertmanager was away; they are sent by themselves.",
                    "stat",
                    8,
                    1,
                ),
            ],
        ),
    ],
)
