"""One GPU host, GPU by GPU."""

from bedplate.monitoring.dashboards.grafana import NODE, RATE, Dashboard, Panel, Query, lines, number

_GPU = "{{node}} {{gpu}}"
_BAD = ((None, "green"), (1, "red"))


def _of(metric: str) -> str:
    """A field of every GPU of the chosen hosts. Labels that change with the driver would split its line."""
    return f'max by (node, gpu) ({metric}{{node=~"$node"}})'


def _pace(metric: str, window: str = RATE) -> str:
    return f'sum by (node, gpu) (rate({metric}{{node=~"$node"}}[{window}]))'


def _grown(metric: str) -> str:
    return f'sum by (node, gpu) (increase({metric}{{node=~"$node"}}[1d]))'


BOARD = Dashboard(
    "bedplate-gpu-host",
    "GPU host",
    (
        number("GPUs", f"count({_of('DCGM_FI_DEV_GPU_TEMP')})"),
        number("Expected", 'sum(bedplate:expected_gpus{node=~"$node"})'),
        number("Hottest", f"max({_of('DCGM_FI_DEV_GPU_TEMP')})", "celsius"),
        number("Power", f"sum({_of('DCGM_FI_DEV_POWER_USAGE')})", "watt"),
        number("Rows to put aside", f"sum({_of('DCGM_FI_DEV_ROW_REMAP_PENDING')})", limits=_BAD),
        number("No rows left", f"sum({_of('DCGM_FI_DEV_ROW_REMAP_FAILURE')})", limits=_BAD),
        lines("Busy", _of("DCGM_FI_DEV_GPU_UTIL"), _GPU, "percent"),
        lines("Tensor cores busy", _of("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE"), _GPU, "percentunit"),
        lines("Memory moves data", _of("DCGM_FI_PROF_DRAM_ACTIVE"), _GPU, "percentunit"),
        lines("Memory busy", _of("DCGM_FI_DEV_MEM_COPY_UTIL"), _GPU, "percent"),
        Panel(
            "Memory",
            (
                Query(_of("DCGM_FI_DEV_FB_USED"), f"{_GPU} used"),
                Query(_of("DCGM_FI_DEV_FB_FREE"), f"{_GPU} free"),
            ),
            "decmbytes",
            note="Full is normal under vLLM: it takes its share when it starts.",
        ),
        Panel(
            "Temperature",
            (
                Query(_of("DCGM_FI_DEV_GPU_TEMP"), _GPU),
                Query(_of("DCGM_FI_DEV_MEMORY_TEMP"), f"{_GPU} memory"),
                Query(f"min({_of('DCGM_FI_DEV_SLOWDOWN_TEMP')})", "slows down"),
            ),
            "celsius",
        ),
        lines("Power by GPU", _of("DCGM_FI_DEV_POWER_USAGE"), _GPU, "watt"),
        lines("Energy", f"{_pace('DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION')} / 1000", _GPU, "watt"),
        Panel(
            "Clocks",
            (
                Query(_of("DCGM_FI_DEV_SM_CLOCK"), _GPU),
                Query(_of("DCGM_FI_DEV_MEM_CLOCK"), f"{_GPU} memory"),
            ),
            "rotmhz",
        ),
        Panel(
            "Slowed down",
            (
                Query(f"{_pace('DCGM_FI_DEV_THERMAL_VIOLATION')} / 1e9", f"{_GPU} heat"),
                Query(f"{_pace('DCGM_FI_DEV_POWER_VIOLATION')} / 1e9", f"{_GPU} power"),
            ),
            "percentunit",
        ),
        Panel(
            "Memory errors in a day",
            (
                Query(_grown("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL"), f"{_GPU} corrected"),
                Query(_grown("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL"), f"{_GPU} not corrected"),
            ),
        ),
        Panel(
            "Rows put aside in a day",
            (
                Query(_grown("DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS"), f"{_GPU} in time"),
                Query(_grown("DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS"), f"{_GPU} too late"),
            ),
        ),
        lines(
            "Xids of the last five minutes",
            'max by (node, gpu, xid) (DCGM_EXP_XID_ERRORS_COUNT{node=~"$node"})',
            f"{_GPU} Xid {{{{xid}}}}",
        ),
        lines(
            "DCGM's health watches",
            'max by (node, gpu, health_watch) (DCGM_EXP_GPU_HEALTH_STATUS{node=~"$node"})',
            f"{_GPU} {{{{health_watch}}}}",
            limits=((None, "green"), (10, "orange"), (20, "red")),
        ),
        Panel(
            "PCIe",
            (
                Query(_of("DCGM_FI_DEV_PCIE_LINK_WIDTH"), f"{_GPU} lanes"),
                Query(_of("DCGM_FI_DEV_PCIE_MAX_LINK_WIDTH"), f"{_GPU} lanes at most"),
                Query(_of("DCGM_FI_DEV_PCIE_LINK_GEN"), f"{_GPU} generation"),
            ),
            note="Links go to sleep: a generation lower than the card's is normal without load.",
        ),
        lines("PCIe packets repeated in a day", _grown("DCGM_FI_DEV_PCIE_REPLAY_COUNTER"), _GPU),
    ),
    (NODE,),
)
