"""Tiers, arrays and disks."""

from bedplate.monitoring.dashboards.grafana import NODE, RATE, Dashboard, Panel, Query, lines, number

_ALL = '{node=~"$node"}'
_DISK = "{{node}} {{device}}"
_BAD = ((None, "green"), (1, "red"))
_TIER = f"and on (node, mountpoint) bedplate:expected_mount{_ALL}"


def _pace(metric: str) -> str:
    return f'sum by (node, device) (rate({metric}{{node=~"$node", device!~"loop.*|ram.*"}}[{RATE}]))'


BOARD = Dashboard(
    "bedplate-storage",
    "Storage tiers",
    (
        number("Disks", f"count(smartctl_device{_ALL})"),
        number("Disks expected", f"sum(bedplate:expected_disks{_ALL})"),
        number("Members missing", f"sum(bedplate_md_members_missing{_ALL})", limits=_BAD),
        number("Replace now", f"count(bedplate_disk_verdict{_ALL} == 3) or vector(0)", limits=_BAD),
        number("Replace soon", f"count(bedplate_disk_verdict{_ALL} == 2) or vector(0)"),
        number("Unreadable", f"sum(bedplate_disk_unreadable{_ALL})", limits=_BAD),
        lines(
            "Tiers: used",
            f"bedplate:filesystem_used:ratio{_ALL} {_TIER}",
            "{{node}} {{mountpoint}}",
            "percentunit",
        ),
        lines(
            "Tiers: free",
            f"max by (node, mountpoint) (node_filesystem_avail_bytes{_ALL}) {_TIER}",
            "{{node}} {{mountpoint}}",
            "bytes",
        ),
        lines(
            "Inodes used",
            f"bedplate:filesystem_inodes_used:ratio{_ALL}",
            "{{node}} {{mountpoint}}",
            "percentunit",
        ),
        lines(
            "Arrays: synchronisation", f"bedplate_md_sync_share{_ALL}", "{{node}} {{array}}", "percentunit"
        ),
        Panel(
            "Arrays: members",
            (
                Query(f"bedplate_md_members_required{_ALL}", "{{node}} {{array}} wanted"),
                Query(f"bedplate:expected_tier_disks{_ALL}", "{{node}} {{array}} inventory"),
                Query(f"node_md_disks{_ALL}", "{{node}} {{device}} {{state}}"),
            ),
        ),
        Panel(
            "Bytes",
            (
                Query(_pace("node_disk_read_bytes_total"), f"{_DISK} read"),
                Query(_pace("node_disk_written_bytes_total"), f"{_DISK} written"),
            ),
            "Bps",
        ),
        Panel(
            "Operations",
            (
                Query(_pace("node_disk_reads_completed_total"), f"{_DISK} read"),
                Query(_pace("node_disk_writes_completed_total"), f"{_DISK} written"),
            ),
            "iops",
        ),
        lines("Busy", _pace("node_disk_io_time_seconds_total"), _DISK, "percentunit"),
        lines(
            "Temperature",
            'smartctl_device_temperature{node=~"$node", temperature_type="current"}',
            _DISK,
            "celsius",
        ),
        Panel(
            "Life used, spare left",
            (
                Query(f"smartctl_device_percentage_used{_ALL}", f"{_DISK} used"),
                Query(f"smartctl_device_available_spare{_ALL}", f"{_DISK} spare"),
                Query(f"smartctl_device_available_spare_threshold{_ALL}", f"{_DISK} least spare"),
            ),
            "percent",
        ),
        Panel(
            "What disks say",
            (
                Query(f"smartctl_device_smart_status{_ALL}", f"{_DISK} well"),
                Query(f"smartctl_device_critical_warning{_ALL}", f"{_DISK} warning"),
            ),
        ),
        lines("Media errors in a day", f"increase(smartctl_device_media_errors{_ALL}[1d])", _DISK),
        lines("Age of the reading", f"time() - bedplate_disk_health_run_seconds{_ALL}", "{{node}}", "s"),
        lines("Age of disks", f"smartctl_device_power_on_seconds{_ALL}", _DISK, "s"),
    ),
    (NODE,),
)
