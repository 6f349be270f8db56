"""Availability against its promise."""

from bedplate.monitoring.dashboards.grafana import Dashboard, Panel, Query, lines, number

_PACE = "/ on () group_left () bedplate:slo_error_budget:ratio"

BOARD = Dashboard(
    "bedplate-slo",
    "Availability",
    (
        number(
            "Requests, three days",
            '1 - bedplate:slo_errors:ratio_3d{sli="requests"}',
            "percentunit",
            width=6,
        ),
        number(
            "Probes, three days",
            '1 - bedplate:slo_errors:ratio_3d{sli="probes"}',
            "percentunit",
            width=6,
        ),
        number("Requests a second", "bedplate:gateway_requests:rate5m", "reqps", width=6),
        number("Errors now", "max(bedplate:slo_errors:ratio_5m)", "percentunit", width=6),
        Panel(
            "Times the budget's pace",
            tuple(
                Query(f"bedplate:slo_errors:ratio_{window} {_PACE}", f"{{{{sli}}}} {window}")
                for window in ("1h", "6h", "1d", "3d")
            ),
            note="Pages at 14.4 (one hour) and 6 (six hours), tickets at 3 (a day) and 1 (three days).",
        ),
        Panel(
            "Errors, short windows",
            tuple(
                Query(f"bedplate:slo_errors:ratio_{window}", f"{{{{sli}}}} {window}")
                for window in ("5m", "30m", "2h")
            ),
            "percentunit",
        ),
        lines("Probes", "min by (instance, scope) (probe_success)", "{{scope}} {{instance}}"),
        lines("Time of probes", "max by (instance, scope) (probe_duration_seconds)", "{{instance}}", "s"),
        lines(
            "Certificates end in",
            "min by (instance) (probe_ssl_earliest_cert_expiry) - time()",
            "{{instance}}",
            "s",
        ),
    ),
)
