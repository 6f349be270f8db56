"""NVLink inside hosts, RDMA and round trips between them."""

from bedplate.monitoring.dashboards.grafana import NODE, RATE, Dashboard, Panel, Query, lines, number

_GPU, _PORT = "{{node}} {{gpu}}", "{{node}} {{device}}/{{port}}"


def _links(metric: str) -> str:
    return f'sum by (node, gpu) (rate({metric}{{node=~"$node"}}[{RATE}]))'


def _port(metric: str) -> str:
    return f'sum by (node, device, port) (rate({metric}{{node=~"$node"}}[{RATE}]))'


BOARD = Dashboard(
    "bedplate-fabric",
    "NVLink and RDMA",
    (
        number("NVLinks active", 'sum(DCGM_FI_DEV_NVSWITCH_LINK_STATUS{node=~"$node"} == bool 2)'),
        number("NVLinks expected", 'sum(bedplate:expected_nvlinks{node=~"$node"})'),
        number(
            "Fabric up (GPUs)", 'count(DCGM_FI_DEV_FABRIC_MANAGER_STATUS{node=~"$node"} == 3) or vector(0)'
        ),
        number("RDMA ports active", 'sum(node_infiniband_state_id{node=~"$node"} == bool 4)'),
        number("RDMA ports expected", 'sum(bedplate:expected_rdma_ports{node=~"$node"}) or vector(0)'),
        number("Pairs without NVLink", 'sum(DCGM_EXP_P2P_STATUS{node=~"$node"} > bool 0)'),
        lines(
            "NVLink traffic",
            'max by (node, gpu) (DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL{node=~"$node"})',
            _GPU,
            "MBs",
        ),
        Panel(
            "NVLink errors",
            (
                Query(_links("DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL"), f"{_GPU} checksum"),
                Query(_links("DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL"), f"{_GPU} repeated"),
                Query(_links("DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL"), f"{_GPU} brought up again"),
                Query(_links("DCGM_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_FAILED_EVENTS"), f"{_GPU} stayed down"),
            ),
            "cps",
        ),
        lines("RDMA received", _port("node_infiniband_port_data_received_bytes_total"), _PORT, "Bps"),
        lines("RDMA sent", _port("node_infiniband_port_data_transmitted_bytes_total"), _PORT, "Bps"),
        lines("RDMA errors received", _port("node_infiniband_port_errors_received_total"), _PORT, "cps"),
        lines(
            "RDMA links lost in a day",
            'sum by (node, device, port) (increase(node_infiniband_link_downed_total{node=~"$node"}[1d]))',
            _PORT,
        ),
        lines(
            "Round trips",
            'max by (instance, scope) (probe_icmp_duration_seconds{phase="rtt"})',
            "{{scope}} {{instance}}",
            "s",
        ),
    ),
    (NODE,),
)
