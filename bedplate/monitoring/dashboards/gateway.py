"""The API gateway: who asks for what, what it answers, and what it costs."""

from bedplate.monitoring.dashboards.grafana import RATE, Dashboard, Panel, Query, lines, number

_CLIENTS = 'envoy_http_conn_manager_prefix=~"inside|outside"'
_PLACES = (0.5, 0.99)


def _decisions(label: str, chosen: str = "") -> str:
    return f"sum by ({label}) (rate(gateway_decisions_total{chosen}[{RATE}]))"


def _quantile(share: float) -> str:
    histogram = f"rate(envoy_cluster_upstream_rq_time_bucket[{RATE}])"
    return f"histogram_quantile({share}, sum by (le, envoy_cluster_name) ({histogram}))"


BOARD = Dashboard(
    "bedplate-gateway",
    "API gateway",
    (
        number("Replicas", 'sum(up{job="gate"})'),
        number("Expected", "sum(bedplate:expected_gateway_replicas)"),
        number("Requests", "bedplate:gateway_requests:rate5m", "reqps"),
        number("Decision, 99 %", "bedplate:gateway_decision_p99:ms", "ms"),
        number("Not settled in a day", "sum(increase(gateway_unsettled_total[1d]))"),
        number("Canaries withdrawn", "sum(max by (model, backend) (gateway_withdrawn))"),
        lines("Let through by model", _decisions("model", '{code="ok"}'), "{{model}}", "reqps"),
        lines("Let through by consumer", _decisions("consumer", '{code="ok"}'), "{{consumer}}", "reqps"),
        lines("Refused by reason", _decisions("code", '{code!="ok"}'), "{{code}}", "reqps"),
        lines(
            "Over their limit",
            _decisions("consumer", '{code="rate_limit_exceeded"}'),
            "{{consumer}}",
            "reqps",
        ),
        lines(
            "Answers to clients",
            f"sum by (envoy_response_code_class) (rate(envoy_http_downstream_rq_xx{{{_CLIENTS}}}[{RATE}]))",
            "{{envoy_response_code_class}}xx",
            "reqps",
        ),
        lines(
            "Errors of back ends",
            "sum by (envoy_cluster_name) "
            f'(rate(envoy_cluster_upstream_rq_xx{{envoy_response_code_class="5"}}[{RATE}]))',
            "{{envoy_cluster_name}}",
            "reqps",
        ),
        Panel(
            "Time of back ends",
            tuple(
                Query(_quantile(share), f"{{{{envoy_cluster_name}}}} {share * 100:.0f} %")
                for share in _PLACES
            ),
            "ms",
            note="Until the last byte; policy is the gate's decision.",
            width=24,
        ),
    ),
)
