"""Availability against its promise, and the gateway that it is measured at."""

from bedplate.monitoring.dashboards.grafana import RATE, Dashboard, Panel, Query, lines, number

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
        number("Requests a second", f"sum(rate(apisix_http_status[{RATE}]))", "reqps", width=6),
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
        lines("Answers by code", f"sum by (code) (rate(apisix_http_status[{RATE}]))", "{{code}}", "reqps"),
        lines(
            "Errors by route",
            f'sum by (route) (rate(apisix_http_status{{code=~"5.."}}[{RATE}]))',
            "{{route}}",
            "reqps",
        ),
        lines(
            "Over their limit",
            f'sum by (consumer) (rate(apisix_http_status{{code="429"}}[{RATE}]))',
            "{{consumer}}",
            "reqps",
        ),
        lines(
            "Time in the gateway, 99 %",
            f"histogram_quantile(0.99, sum by (le, type) (rate(apisix_http_latency_bucket[{RATE}])))",
            "{{type}}",
            "ms",
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
