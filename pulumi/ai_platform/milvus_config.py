"""Milvus' own configuration (user.yaml), and who it knows. Where it keeps its log is said outright: a newer
release may have another default, and a log that moves is a migration."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import yaml

from ai_platform import consumers, names
from ai_platform.data_parts import member
from ai_platform.milvus_parts import ETCD, ROLES, STANDALONE, milvus, parts
from ai_platform.milvus_settings import Milvus
from ai_platform.settings import Settings

STATE = "/var/lib/milvus"
MIB = 2**20
ROOT, DIFY, KNOWLEDGE, READER, BACKUP = "root", "dify", "knowledge", "reader", "backup"
PASSWORDS = {user: f"milvus-{user}-password" for user in (ROOT, DIFY, KNOWLEDGE, READER, BACKUP)}
DATABASES = {DIFY: "dify", KNOWLEDGE: "knowledge", READER: "knowledge"}

# What may be done to collections, by Milvus' own names, which both its older and its newer log-in know.
READ = ("Search", "Query", "GetStatistics", "IndexDetail", "GetLoadState", "GetLoadingProgress")
FIND = ("DescribeCollection", "ShowCollections")
WRITE = (*READ, "Insert", "Upsert", "Delete", "Flush", "GetFlushState", "Load", "Release", "CreateIndex")
BUILD = (*FIND, "CreateCollection")
OWN = (*BUILD, "DropCollection")
OWNED = (
    *WRITE,
    "DropIndex",
    "Compaction",
    "CreatePartition",
    "DropPartition",
    "ShowPartitions",
    "HasPartition",
)
RIGHTS: Mapping[
    str, tuple[tuple[str, ...], tuple[str, ...]]
] = {  # user to (of the database, of its collections)
    DIFY: (OWN, OWNED),
    KNOWLEDGE: (BUILD, WRITE),  # drops no collection, whatever is in a document
    READER: (FIND, READ),
}


def configuration(settings: Settings) -> str:
    """The text of user.yaml; no secret is in it."""
    wanted, store = milvus(settings), consumers.store(settings)
    address = urlsplit(store.endpoint)
    secure = address.scheme == "https"
    made: dict[str, Any] = {
        "etcd": {"endpoints": endpoints(settings), "rootPath": "milvus"},
        "minio": {
            "address": address.hostname,
            "port": address.port or (443 if secure else 80),
            "useSSL": secure,
            "bucketName": bucket(),
            "rootPath": "files",
            "region": store.region,
            "cloudProvider": "aws",
        },
        "common": {
            "storageType": "remote",
            "security": {"authorizationEnabled": True, "superUsers": ROOT},
        },
        "proxy": {"port": settings.ports["milvus"], "http": {"debug_mode": False}},
        "quotaAndLimits": {
            "enabled": True,
            "limitWriting": {
                "memProtection": {"enabled": True},
                "diskProtection": {"enabled": True, "diskQuota": wanted.quota // MIB},
            },
        },
        "queryNode": {"enableDisk": True},
        "log": {"level": "info", "format": "json", "stdout": True},
    }
    made |= _queue(wanted)
    if wanted.cluster:
        twice = {"enableActiveStandby": True}
        for coordinator in ("mixCoord", "rootCoord", "queryCoord", "dataCoord", "indexCoord"):
            made[coordinator] = twice.copy()
    return yaml.safe_dump(made, sort_keys=True)


def _queue(wanted: Milvus) -> dict[str, Any]:
    """Where what was acknowledged lies until it is in a segment: on the standalone's own volume, in the
    object store (whose gate has shown that of two writers one wins), or in the site's Kafka."""
    if wanted.kafka:
        return {"mq": {"type": "kafka"}, "kafka": {"brokerList": wanted.kafka}}
    storage = {"type": "minio"} if wanted.cluster else {"type": "local", "rootPath": f"{STATE}/woodpecker"}
    return {"mq": {"type": "woodpecker"}, "woodpecker": {"storage": storage}}


def endpoints(settings: Settings) -> list[str]:
    """Members of etcd, HOST:PORT."""
    part, port = parts(settings)[ETCD], settings.ports["etcd_client"]
    return [f"{member(part, ordinal)}:{port}" for ordinal in range(part.pods)]


def bucket() -> str:
    """Milvus' own."""
    return consumers.consumer("milvus").grants[0].bucket


def etcd_arguments(settings: Settings) -> list[str]:
    """What each member is started with; POD_NAME is its own. Milvus' own advice for quota and timings."""
    part, ports = parts(settings)[ETCD], settings.ports
    client, peer = ports["etcd_client"], ports["etcd_peer"]
    host = f"$(POD_NAME).{ETCD}-pods.{part.namespace}.svc"
    others = (f"{ETCD}-{n}=http://{member(part, n)}:{peer}" for n in range(part.pods))
    return [
        "--name=$(POD_NAME)",
        f"--data-dir={STATE}/etcd",
        f"--listen-client-urls=http://0.0.0.0:{client}",
        f"--advertise-client-urls=http://{host}:{client}",
        f"--listen-peer-urls=http://0.0.0.0:{peer}",
        f"--initial-advertise-peer-urls=http://{host}:{peer}",
        f"--listen-metrics-urls=http://0.0.0.0:{ports['etcd_metrics']}",
        f"--initial-cluster={','.join(others)}",
        "--initial-cluster-token=milvus",
        "--initial-cluster-state=new",
        "--quota-backend-bytes=4294967296",
        "--auto-compaction-mode=revision",
        "--auto-compaction-retention=1000",
        "--heartbeat-interval=500",
        "--election-timeout=2500",
    ]


def grants(settings: Settings) -> str:
    """What the set-up job makes, as JSON: databases, users, and what each may do. The backup's user reads and
    makes everything everywhere; passwords come from its environment."""
    users = {
        user: {"database": DATABASES[user], "database_rights": list(own), "collection_rights": list(inside)}
        for user, (own, inside) in RIGHTS.items()
    }
    return json.dumps({"address": address(settings), "users": users, "administrators": [BACKUP]}, indent=1)


def address(settings: Settings) -> str:
    """Where clients find it, inside the cluster."""
    return f"http://milvus.{names.MILVUS}.svc:{settings.ports['milvus']}"


def started_as(settings: Settings, app: str) -> tuple[str, ...]:
    """Words after `milvus run`."""
    return ROLES[app] if milvus(settings).cluster else STANDALONE


def internal_ports(settings: Settings) -> tuple[int, ...]:
    """Ports at which Milvus' own programs talk to each other."""
    wanted = ("root", "query", "data", "index", "proxy", "query_node", "data_node", "streaming_node")
    return tuple(settings.ports[f"milvus_{name}"] for name in wanted)
