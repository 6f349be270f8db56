"""Everything on one page: is something wrong, and where."""

from bedplate.monitoring.dashboards.grafana import RATE, Dashboard, Panel, Query, lines, number

_BAD = ((None, "green"), (1, "red"))

BOARD = Dashboard(
    "bedplate-fleet",
    "Fleet",
    (
        number("Pages", 'count(ALERTS{alertstate="firing", severity="page"}) or vector(0)', limits=_BAD),
        number("Tickets", 'count(ALERTS{alertstate="firing", severity="ticket"}) or vector(0)'),
        number("Hosts that answer", 'count(up{job="node"} == 1)'),
        number("Hosts expected", 'count(bedplate:expected_target{job="node"})'),
        number("GPUs that answer", "count(count by (node, gpu) (DCGM_FI_DEV_GPU_TEMP))"),
        number("GPUs expected", "sum(bedplate:expected_gpus)"),
        Panel(
            "Firing alerts",
            (Query('sum by (severity, owner, alertname, node, service) (ALERTS{alertstate="firing"})'),),
            kind="table",
            width=24,
        ),
        lines("GPUs busy", "bedplate:gpu_busy:percent", "{{node}}", "percent"),
        lines("GPU power", "sum by (node) (DCGM_FI_DEV_POWER_USAGE)", "{{node}}", "watt"),
        lines(
            "Processors busy",
            f'1 - avg by (node) (rate(node_cpu_seconds_total{{mode="idle"}}[{RATE}]))',
            "{{node}}",
            "percentunit",
        ),
        lines(
            "Memory used",
            "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
            "{{node}}",
            "percentunit",
        ),
        lines("Load", "node_load1", "{{node}}"),
        lines("Clock offset", "node_timex_offset_seconds", "{{node}}", "s"),
        lines(
            "Network received",
            f"sum by (node) (rate(node_network_receive_bytes_total[{RATE}]))",
            "{{node}}",
            "Bps",
        ),
        lines(
            "Network sent",
            f"sum by (node) (rate(node_network_transmit_bytes_total[{RATE}]))",
            "{{node}}",
            "Bps",
        ),
        lines("Series in Prometheus", "prometheus_tsdb_head_series", "{{instance}}"),
    ),
)
