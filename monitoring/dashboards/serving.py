"""The dashboard of lists: whether they are whole, how fast, and what they are made of."""

from monitoring.dashboards.panel import Dashboard, Panel, quantile

__all__ = ["SERVING"]

_LISTS = 'endpoint=~"recommend|v1_predict|v2_infer|grpc_ModelInfer"'

SERVING = Dashboard(
    "tastemaker-serving",
    "Tastemaker: lists",
    "Whether shoppers get whole lists, how fast, and from which release.",
    [
        (
            "At a glance",
            [
                Panel(
                    "Error budget, 1 h",
                    {"{{slo}}": "slo:tastemaker_errors:ratio_rate1h / 0.001"},
                    "short",
                    "How many times faster than allowed the budget of 99.9 % is used; above 14.4 it pages.",
                    "stat",
                    6,
                    14.4,
                ),
                Panel(
                    "Lower tiers",
                    {
                        "share": 'sum(rate(tastemaker_lists_total{tier!~"full|cold_start"}[5m]))'
                        " / sum(rate(tastemaker_lists_total[5m]))"
                    },
                    "percentunit",
                    "Lists that stand in for what failed or was too slow; above 10 % it pages.",
                    "stat",
                    6,
                    0.1,
                ),
                Panel(
                    "99 % of lists within",
                    {"p99": quantile(0.99, "tastemaker_request_seconds", where=_LISTS)},
                    "s",
                    "From the request's arrival to its answer.",
                    "stat",
                    6,
                ),
                Panel(
                    "Parts that answer",
                    {"{{job}}": 'sum by (job) (up{job=~"recommender|collector|worker|exporter"})'},
                    "short",
                    "Processes that Prometheus reaches.",
                    "stat",
                    6,
                ),
            ],
        ),
        (
            "Requests",
            [
                Panel(
                    "Requests",
                    {"{{endpoint}}": "sum by (endpoint) (rate(tastemaker_request_seconds_count[5m]))"},
                    "reqps",
                ),
                Panel(
                    "Time to answer a list",
                    {
                        f"p{round(100 * share)}": quantile(share, "tastemaker_request_seconds", where=_LISTS)
                        for share in (0.5, 0.95, 0.99)
                    },
                    "s",
                ),
                Panel(
                    "Answers that are errors",
                    {"{{endpoint}} {{code}}": "sum by (endpoint, code) (rate(tastemaker_request_errors_total[5m]))"},
                    "reqps",
                    "4xx are the caller's mistakes, 5xx ours.",
                ),
                Panel(
                    "Stages of a list, 95 % within",
                    {"{{stage}}": quantile(0.95, "tastemaker_stage_seconds", "stage")},
                    "s",
                ),
                Panel("Lists in flight", {"{{instance}}": "tastemaker_lists_in_flight"}, "short"),
                Panel(
                    "Rankings given again",
                    {"{{outcome}}": "sum by (outcome) (rate(tastemaker_repeats_total[5m]))"},
                    "reqps",
                    "hit: at hand; miss: not; changed: out of date.",
                ),
            ],
        ),
        (
            "What the lists are",
            [
                Panel(
                    "Tiers",
                    {"{{tier}}": "sum by (tier) (rate(tastemaker_lists_total[5m]))"},
                    "reqps",
                    "full and cold_start are whole lists.",
                ),
                Panel("Surfaces", {"{{surface}}": "sum by (surface) (rate(tastemaker_lists_total[5m]))"}, "reqps"),
                Panel(
                    "Sources of the items",
                    {"{{source}}": "sum by (source) (rate(tastemaker_items_shown_total[5m]))"},
                    "short",
                ),
                Panel(
                    "Empty and stale lists",
                    {
                        "empty": "sum(rate(tastemaker_empty_lists_total[5m]))",
                        "stale": "sum(rate(tastemaker_stale_lists_total[5m]))",
                    },
                    "reqps",
                    "stale: with features that were too old to be believed.",
                ),
                Panel(
                    "Since items and rules were looked at",
                    {"{{instance}}": "tastemaker_refresh_age_seconds"},
                    "s",
                    "Half a second when all is well.",
                ),
                Panel(
                    "Lost on the way",
                    {
                        "served lists": "sum(rate(tastemaker_served_log_dropped_total[5m]))",
                        "traces": "sum(rate(tastemaker_traces_dropped_total[5m]))",
                        "looks for items": "sum(rate(tastemaker_refresh_failures_total[5m]))",
                    },
                    "short",
                ),
            ],
        ),
    ],
)
