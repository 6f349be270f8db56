"""Who may talk to the data services: their own parts to each other, and consumers as their table says."""

from urllib.parse import urlsplit

from ai_platform import consumers, names
from ai_platform.consumers import Consumer
from ai_platform.namespaces import namespaces
from ai_platform.peers import OUTSIDE, Flow, Peer
from ai_platform.settings import Settings

GRPC = 10_000  # SeaweedFS speaks gRPC at the port of HTTP and this
STORE, MASTER, VOLUME, FILER, STORE_SETUP = "s3", "s3-master", "s3-volume", "s3-filer", "s3-setup"
DATABASE, ARCHIVE, DATABASE_SETUP = "postgresql", "postgresql-archive", "postgresql-setup"
INSIDE = (  # parts of the object store, who asks whom
    (STORE, FILER),
    (STORE, MASTER),
    (STORE, VOLUME),
    (FILER, FILER),
    (FILER, MASTER),
    (FILER, VOLUME),
    (MASTER, MASTER),
    (MASTER, VOLUME),
    (VOLUME, MASTER),
    (VOLUME, VOLUME),
)
PORTS = {MASTER: "s3_master", VOLUME: "s3_volume", FILER: "s3_filer"}


def flows(settings: Settings) -> list[Flow]:
    """All of them; nothing where neither an object store nor our own databases are."""
    spaces = {space.name for space in namespaces(settings)}
    found = [flow for one in consumers.present(spaces) for flow in _consumer(one, settings)]
    if settings.object_store:
        setup, why = Peer(names.DATA, STORE_SETUP), "makes buckets and tries the store before others do"
        found.append(Flow(setup, _store(settings), (_store_port(settings),), why))
    if settings.data is None:
        return found
    if settings.data.store:
        found += _object_store(settings)
    return [*found, *_databases(settings), *_watching(settings), *_mlflow(settings)]


def _consumer(one: Consumer, settings: Settings) -> list[Flow]:
    found = []
    for app in one.apps:
        source = Peer(one.namespace, app)
        if one.grants and settings.object_store:
            found.append(Flow(source, _store(settings), (_store_port(settings),), "its buckets in S3"))
        if settings.data and consumers.role(one):
            port = (settings.ports["postgresql"],)
            found.append(Flow(source, Peer(names.DATA, DATABASE), port, "its databases"))
        if settings.data and one.valkey:
            port = (settings.ports["valkey"],)
            found.append(Flow(source, Peer(names.DATA, one.valkey), port, "its queues and counters"))
    return found


def _object_store(settings: Settings) -> list[Flow]:
    """Nobody else reaches a filer, a master or a volume server: they ask for no log-in."""
    found = []
    for source, target in INSIDE:
        port = settings.ports[PORTS[target]]
        ends = Peer(names.DATA, source), Peer(names.DATA, target)
        found.append(Flow(*ends, (port, port + GRPC), "parts of the object store"))
    return found


def _databases(settings: Settings) -> list[Flow]:
    database, port = Peer(names.DATA, DATABASE), (settings.ports["postgresql"],)
    valkey = Peer(names.DATA, consumers.BROKER)
    found = [
        Flow(database, database, port, "standbys follow the primary"),
        Flow(Peer(names.DATA, DATABASE_SETUP), database, port, "makes roles and databases"),
        Flow(valkey, valkey, (settings.ports["valkey"],), "copies follow the primary"),
    ]
    if settings.data and settings.data.archive:
        found.append(Flow(Peer(names.DATA, ARCHIVE), database, port, "receives the log as it is written"))
    return found


def _watching(settings: Settings) -> list[Flow]:
    if settings.watch is None or settings.data is None:
        return []
    prometheus, ports = Peer(names.MONITORING, "prometheus"), settings.ports
    parts = (STORE, MASTER, VOLUME, FILER) if settings.data.store else ()
    found = [Flow(prometheus, Peer(names.DATA, part), (ports["s3_metrics"],), "metrics") for part in parts]
    for exporter, app, port in (
        ("postgres-exporter", DATABASE, "postgresql"),
        ("valkey-exporter", consumers.BROKER, "valkey"),
        ("valkey-exporter", consumers.CACHE, "valkey"),
    ):
        source = Peer(names.MONITORING, exporter, app)
        found.append(Flow(source, Peer(names.DATA, app), (ports[port],), "the database that it reads"))
    return found


def _mlflow(settings: Settings) -> list[Flow]:
    if settings.data is None or not settings.data.mlflow:
        return []
    target = Peer(names.MLFLOW, "mlflow")
    return [Flow(Peer(names.GATEWAY, "gateway"), target, (settings.ports["mlflow"],), "people and jobs")]


def _store(settings: Settings) -> Peer:
    return Peer(names.DATA, STORE) if consumers.store(settings).own else OUTSIDE


def _store_port(settings: Settings) -> int:
    address = urlsplit(consumers.store(settings).endpoint)
    return address.port or {"http": 80, "https": 443}[address.scheme]
