"""Vector search, and whether the backups are young and proved."""

from bedplate.monitoring.dashboards.grafana import RATE, Dashboard, lines, number

MILVUS = Dashboard(
    "bedplate-milvus",
    "Milvus",
    (
        number("Search, 99 %", "max(bedplate:milvus_search_p99:ms)", "ms", width=8),
        number(
            "Searches",
            f'sum(rate(milvus_proxy_sq_latency_count{{query_type="search"}}[{RATE}]))',
            "reqps",
            width=8,
        ),
        number(
            "Writes refused in a day",
            "sum(increase(milvus_rootcoord_force_deny_writing_counter[1d]))",
            width=8,
        ),
        lines("Search, 99 %, over time", "bedplate:milvus_search_p99:ms", "{{namespace}}", "ms"),
        lines(
            "Requests",
            f"sum by (query_type) (rate(milvus_proxy_sq_latency_count[{RATE}]))",
            "{{query_type}}",
            "reqps",
        ),
        lines(
            "Behind what was written",
            'max by (pod) (milvus_querynode_consume_tt_lag_ms{msg_type="timetick"})',
            "{{pod}}",
            "ms",
        ),
        lines(
            "Age of checkpoints",
            "time() - min by (channel_name) (milvus_datacoord_channel_checkpoint_unix_seconds)",
            "{{channel_name}}",
            "s",
        ),
    ),
)

_LAST = "max by (cronjob) (kube_cronjob_status_last_successful_time"

BACKUPS = Dashboard(
    "bedplate-backups",
    "Backups",
    (
        number(
            "Oldest backup",
            f'max(time() - {_LAST}{{namespace="backup", cronjob!~"restore-.*"}}))',
            "s",
            width=8,
        ),
        number(
            "Oldest restore drill",
            f'max(time() - {_LAST}{{namespace="backup", cronjob=~"restore-.*"}}))',
            "s",
            width=8,
        ),
        number("Jobs", 'count(kube_cronjob_created{namespace="backup"})', width=8),
        lines("Age by job", f'time() - {_LAST}{{namespace="backup"}})', "{{cronjob}}", "s", width=24),
        lines(
            "Age by host and item",
            "time() - max by (node, item) (bedplate_backup_last_success_seconds)",
            "{{node}} {{item}}",
            "s",
        ),
        lines(
            "Age of the last proved restore",
            "time() - max by (node, item) (bedplate_backup_drill_last_success_seconds)",
            "{{node}} {{item}}",
            "s",
        ),
        lines(
            "Added by the last backup",
            "max by (node, item) (bedplate_backup_added_bytes)",
            "{{node}} {{item}}",
            "bytes",
        ),
        lines("Snapshots", "min by (node, item) (bedplate_backup_snapshots)", "{{node}} {{item}}"),
        lines("Log put away", "max by (instance) (pg_stat_archiver_last_archive_age)", "{{instance}}", "s"),
        lines("Behind the primary", "max by (instance) (pg_replication_lag_seconds)", "{{instance}}", "s"),
    ),
)
