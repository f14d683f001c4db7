"""The dashboard of events on their way to the online store and the lake."""

from monitoring.dashboards.panel import Dashboard, Panel, quantile

__all__ = ["STREAM"]

STREAM = Dashboard(
    "tastemaker-stream",
    "Tastemaker: events",
    "Events from the collector to the online store and the lake.",
    [
        (
            "Collector",
            [
                Panel(
                    "Answers",
                    {
                        "{{endpoint}} {{code}}": "sum by (endpoint, code)"
                        " (rate(tastemaker_collector_responses_total[5m]))"
                    },
                    "reqps",
                ),
                Panel(
                    "Records",
                    {"{{kind}} {{status}}": "sum by (kind, status) (rate(tastemaker_collector_records_total[5m]))"},
                    "short",
                ),
                Panel(
                    "Acknowledged by the broker within",
                    {f"p{round(100 * s)}": quantile(s, "tastemaker_collector_ack_seconds") for s in (0.5, 0.99)},
                    "s",
                ),
                Panel(
                    "Broker", {"{{instance}}": "tastemaker_collector_broker_up"}, "short", "1 while it answers.", "stat"
                ),
                Panel("Items known", {"{{instance}}": "tastemaker_collector_catalogue_items"}, "short", "", "stat"),
            ],
        ),
        (
            "Stream workers",
            [
                Panel(
                    "Waiting records",
                    {"{{topic}}": "sum by (topic) (tastemaker_worker_lag_records)"},
                    "short",
                    "Above 50,000 for five minutes it pages.",
                    limit=50_000,
                ),
                Panel(
                    "Freshness, 99 % within",
                    {"{{view}}": quantile(0.99, "tastemaker_worker_freshness_seconds", "view")},
                    "s",
                    "From the broker to readable; above 5 s it is a ticket.",
                    limit=5,
                ),
                Panel(
                    "Age of the newest event",
                    {"{{view}}": "min by (view) (tastemaker_worker_newest_event_age_seconds)"},
                    "s",
                ),
                Panel(
                    "Records by outcome",
                    {"{{outcome}}": "sum by (outcome) (rate(tastemaker_worker_records_total[5m]))"},
                    "short",
                ),
                Panel(
                    "Dead letters in 15 minutes",
                    {"dead letters": 'sum(increase(tastemaker_worker_records_total{outcome="dead_letters"}[15m]))'},
                    "short",
                ),
                Panel(
                    "Left out for coming late",
                    {"{{view}}": "sum by (view) (rate(tastemaker_worker_late_events_total[5m]))"},
                    "short",
                ),
                Panel(
                    "Transactions, 95 % within",
                    {"apply": quantile(0.95, "tastemaker_worker_apply_seconds")},
                    "s",
                ),
                Panel(
                    "Events of a transaction",
                    {"median": quantile(0.5, "tastemaker_worker_batch_events")},
                    "short",
                ),
                Panel(
                    "Appends to the lake, 95 % within",
                    {"{{table}}": quantile(0.95, "tastemaker_worker_flush_seconds", "table")},
                    "s",
                ),
                Panel(
                    "Rows to the lake",
                    {"{{table}}": "sum by (table) (rate(tastemaker_worker_lake_rows_total[5m]))"},
                    "short",
                ),
                Panel("Rows of the online store", {"{{view}}": "max by (view) (tastemaker_worker_view_rows)"}, "short"),
                Panel(
                    "Build of the online store",
                    {"{{instance}}": "tastemaker_worker_build_progress"},
                    "percentunit",
                    "1 when nothing is being built.",
                ),
            ],
        ),
    ],
)
