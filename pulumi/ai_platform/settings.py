"""What the inventory says about the platform, as frozen records. ``reading.read`` makes them and refuses
what cannot work; components and renderers see nothing else of the inventory."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ai_platform.api_settings import Api
from ai_platform.data_settings import DataServices
from ai_platform.dify_settings import Dify
from ai_platform.images import Images
from ai_platform.log_settings import Logs
from ai_platform.milvus_settings import Chroma, Knowledge, Milvus
from bedplate.capacity.fit import Layout
from bedplate.capacity.models import Gpu, Model

RDMA_FABRICS = ("infiniband", "roce")
FABRICS = ("ethernet", *RDMA_FABRICS)


@dataclass(frozen=True)
class NodeGroup:
    """An inventory group whose hosts run pods. Sizes are those of its smallest host; memory in bytes."""

    name: str
    hosts: tuple[str, ...]
    cpus: int
    memory: int
    gpu: Gpu | None = None
    gpus_per_host: int = 0
    fabric: str = "ethernet"
    interface: str = ""  # of the hosts, in the compute zone
    hcas: tuple[str, ...] = ()
    product_is_exact: bool = True  # no host outside the group has the same GPU


@dataclass(frozen=True)
class VllmService:
    """One model behind one address. A replica is ``layout.pipeline`` hosts of ``layout.tensor`` GPUs."""

    name: str
    model: Model
    owner: str
    nodes: NodeGroup
    layout: Layout
    replicas: int
    max_replicas: int
    context: int
    gpu_memory: float

    @property
    def multi_host(self) -> bool:
        """True when one replica spans hosts."""
        return self.layout.pipeline > 1


@dataclass(frozen=True)
class Tensor:
    """An input or output of a Triton model; -1 is a dimension that varies."""

    name: str
    type: str
    dims: tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """One step of an ensemble: tensor names of the model mapped to those of the ensemble."""

    model: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


@dataclass(frozen=True)
class TritonModel:
    """One model of a repository. ``source`` is its directory in the model store (``model`` for the vLLM
    back end); ``build`` is the precision that a TensorRT engine is built with from ``source``."""

    name: str
    backend: str
    source: str = ""
    model: Model | None = None
    max_batch_size: int = 0
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    instances: int = 1
    queue_delay_microseconds: int = 0
    queue_size: int = 0
    build: str = ""
    build_shapes: str = ""
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class TritonService:
    """One Triton with its own repository; ``gpus`` 0 serves on CPUs."""

    name: str
    owner: str
    nodes: NodeGroup
    gpus: int
    replicas: int
    max_replicas: int
    models: tuple[TritonModel, ...]


@dataclass(frozen=True)
class BatchJob:
    """Offline inference over a file of requests (JSON Lines, OpenAI batch format); gives way to everything
    else."""

    name: str
    owner: str
    model: Model
    requests: str
    nodes: NodeGroup
    gpus: int
    parallel: int
    context: int
    schedule: str = ""
    suspended: bool = False


@dataclass(frozen=True)
class Access:
    """Groups of the identity provider per role."""

    admin: tuple[str, ...]
    analyst: tuple[str, ...]
    read_only: tuple[str, ...]


@dataclass(frozen=True)
class SharedFiles:
    """An NFS export that several pods write; capacity in bytes."""

    server: str
    path: str
    capacity: int


@dataclass(frozen=True)
class ObjectStore:
    """Where S3 is. Whatever provides it (this platform or the site) fills this record; components only read
    it. ``bucket`` holds models; ``access_keys`` are those that the site gave to our consumers, whose names
    they are otherwise."""

    endpoint: str
    bucket: str
    region: str = "us-east-1"
    access_keys: Mapping[str, str] = field(default_factory=dict)
    secret: str = "s3-backup"  # noqa: S105 - the name of a Secret in the namespace of backups, not its content
    own: bool = False  # this platform's


@dataclass(frozen=True)
class MigLayout:
    """How the GPUs of a node group are cut: profile to instances per GPU."""

    name: str
    nodes: NodeGroup
    devices: Mapping[str, int]


@dataclass(frozen=True)
class Database:
    """A database that an exporter reads: ``kind`` is postgres or valkey, ``address`` HOST:PORT."""

    name: str
    kind: str
    address: str


@dataclass(frozen=True)
class Watch:
    """What watches the environment. ``volume`` in bytes, one for each Prometheus, on ``tier``; texts are
    rendered by `bedplate.monitoring` (file name to content where there are several); ``notified`` are the
    ports at which somebody is told of alerts."""

    tier: str
    volume: int
    retention_days: int
    prometheus: str
    rules: Mapping[str, str]
    alertmanager: str
    alertmanagers: int
    dashboards: Mapping[str, str]
    blackbox: str
    counters: str
    allowlist: tuple[str, ...]
    textfiles: str
    watched_hosts: int
    notified: tuple[int, ...] = ()
    databases: tuple[Database, ...] = ()


@dataclass(frozen=True)
class BackupItem:
    """One thing that is backed up: a database at ``address`` (HOST:PORT), a bucket of the object store, or
    the stack's secrets themselves. A database is asked as ``user`` with the stack's secret ``secret``, or as
    the Secret ``access`` says. ``peer`` is where its pods are (namespace, app), else outside the cluster."""

    name: str
    kind: str
    address: str = ""
    user: str = ""
    secret: str = ""
    access: str = ""
    bucket: str = ""
    peer: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Backups:
    """Where backups go, when, and what is backed up. ``volume`` in bytes, on ``tier``: one for each item,
    which keeps its copy between two nights, and one that a drill has while it runs. Schedules are cron's, in
    UTC."""

    server: str
    tier: str
    volume: int
    schedule: str
    drill: str
    authority: str = ""
    limit_kib: int = 0
    items: tuple[BackupItem, ...] = ()


@dataclass(frozen=True)
class Rdma:
    """Hosts with RDMA cards, their interfaces of those cards, and how many pods may share a host's."""

    hosts: tuple[str, ...]
    interfaces: tuple[str, ...]
    shares: int


@dataclass(frozen=True)
class Pace:
    """Rates that start-up estimates use: bytes per second from the hot tier and from the registry, and how
    many times the estimate a start-up probe waits."""

    load: int
    pull: int
    patience: int


@dataclass(frozen=True)
class Settings:
    """Everything that the program builds one environment from."""

    environment: str
    access: Access
    images: Images
    pace: Pace
    ports: Mapping[str, int]
    model_store: str
    node_groups: Mapping[str, NodeGroup]
    tiers: tuple[str, ...]
    published_secrets: tuple[str, ...]
    vllm: tuple[VllmService, ...] = ()
    triton: tuple[TritonService, ...] = ()
    batch: tuple[BatchJob, ...] = ()
    mig: tuple[MigLayout, ...] = ()
    rdma: Rdma | None = None
    shared_files: SharedFiles | None = None
    object_store: ObjectStore | None = None
    data: DataServices | None = None
    dify: Dify | None = None
    api: Api | None = None
    milvus: Milvus | None = None
    chroma: Chroma | None = None
    knowledge: tuple[Knowledge, ...] = ()
    watch: Watch | None = None
    logs: Logs | None = None
    backups: Backups | None = None
    tier_hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def nodes(self) -> int:
        """Kubernetes nodes."""
        return len({host for group in self.node_groups.values() for host in group.hosts})

    @property
    def gpu_nodes(self) -> int:
        """Those with GPUs."""
        return len({h for group in self.node_groups.values() if group.gpus_per_host for h in group.hosts})

    @property
    def gpus(self) -> int:
        """GPUs of the whole environment."""
        seen: dict[str, int] = {}
        for group in self.node_groups.values():
            if group.gpu:
                seen |= dict.fromkeys(group.hosts, group.gpus_per_host)
        return sum(seen.values())
