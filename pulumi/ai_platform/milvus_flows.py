"""Who may talk to the vector stores, and whom the knowledge-base sync asks. What uses the object store stands
in the table of consumers; what asks Milvus for itself (Dify) says so among its own flows."""

from ai_platform import milvus_config, names
from ai_platform.milvus_parts import CHROMA, ETCD, MILVUS, ROLES, SETUP, SYNC, milvus, parts
from ai_platform.peers import OUTSIDE, Flow, Peer
from ai_platform.settings import Settings

PROMETHEUS = Peer(names.MONITORING, "prometheus")
GATEWAY = Peer(names.GATEWAY, "gateway")


def flows(settings: Settings) -> list[Flow]:
    """All of them; nothing where there is none of it."""
    there, ports = parts(settings), settings.ports
    found = _milvus(settings) if MILVUS in there else []
    if CHROMA in there:
        target = Peer(names.CHROMA, CHROMA)
        for client in (names.SERVING, names.BATCH):
            found.append(Flow(Peer(client), target, (ports["chroma"],), "whoever develops, without a log-in"))
    if SYNC in there:
        sync = Peer(names.KNOWLEDGE, SYNC)
        found.append(Flow(sync, GATEWAY, (ports["model_gateway"],), "texts become vectors"))
        found.append(Flow(sync, Peer(names.MILVUS, MILVUS), (ports["milvus"],), "its collections"))
    return found


def _milvus(settings: Settings) -> list[Flow]:
    ports, there = settings.ports, parts(settings)
    etcd, proxy = Peer(names.MILVUS, ETCD), Peer(names.MILVUS, MILVUS)
    programs = [Peer(names.MILVUS, app) for app in ROLES if app in there]
    found = [
        Flow(etcd, etcd, (ports["etcd_client"], ports["etcd_peer"]), "members agree"),
        Flow(Peer(names.MILVUS, SETUP), proxy, (ports["milvus"],), "makes users and their rights"),
        Flow(GATEWAY, proxy, (ports["milvus"],), "programs of the company that search by their own log-in"),
    ]
    found += [
        Flow(program, etcd, (ports["etcd_client"],), "what there is, and where") for program in programs
    ]
    if len(programs) > 1:
        inside = milvus_config.internal_ports(settings)
        found += [Flow(one, two, inside, "programs of one cluster") for one in programs for two in programs]
    if milvus(settings).kafka:
        brokers = milvus(settings).kafka.split(",")
        far = tuple(sorted({int(one.rpartition(":")[2]) for one in brokers}))
        found += [Flow(program, OUTSIDE, far, "the site's Kafka keeps the log") for program in programs]
    if settings.watch:
        metrics = (ports["milvus_metrics"],)
        found += [Flow(PROMETHEUS, program, metrics, "metrics") for program in programs]
        found.append(Flow(PROMETHEUS, etcd, (ports["etcd_metrics"],), "metrics"))
    return found
