"""Programs of the vector stores and of the knowledge-base sync: how many, how large, where."""

from ai_platform import names
from ai_platform.data_parts import INSTANCE
from ai_platform.data_settings import GIB
from ai_platform.milvus_settings import Milvus
from ai_platform.monitoring_parts import MIB, Part
from ai_platform.settings import Settings

# Everybody talks to the proxy, or to the standalone, under this name.
MILVUS, ETCD, SETUP = "milvus", "milvus-etcd", "milvus-setup"
COORDINATOR, QUERY, DATA, STREAMING = (
    "milvus-coordinator",
    "milvus-query",
    "milvus-data",
    "milvus-streaming",
)
CHROMA, SYNC = "chroma", "knowledge-sync"
USER = 1000
PAIR = 2
# Programs of a cluster: what each is started as.
ROLES = {
    MILVUS: ("proxy",),
    COORDINATOR: ("mixture", "-rootcoord", "-querycoord", "-datacoord", "-indexcoord"),
    QUERY: ("querynode",),
    DATA: ("datanode",),
    STREAMING: ("streamingnode",),
}
STANDALONE = ("standalone",)


def milvus(settings: Settings) -> Milvus:
    """Milvus; only asked where there is one."""
    assert settings.milvus is not None
    return settings.milvus


def parts(settings: Settings) -> dict[str, Part]:
    """Every program by its app; nothing where there are none."""
    found: list[Part] = []
    if settings.milvus:
        found += _milvus(settings.milvus)
    if settings.chroma:
        memory = settings.chroma.memory
        found.append(Part(CHROMA, CHROMA, 1, 250, memory, memory, names.CHROMA, USER, INSTANCE))
    if settings.knowledge:
        count = len(settings.knowledge)
        found.append(Part(SYNC, "knowledge", count, 250, 512 * MIB, 2 * GIB, names.KNOWLEDGE, USER, INSTANCE))
    return {part.app: part for part in found}


def _milvus(wanted: Milvus) -> list[Part]:
    def part(  # noqa: PLR0917 - a table of six columns
        app: str, image: str, count: int, millicpu: int, memory: int, limit: int = 0
    ) -> Part:
        return Part(app, image, count, millicpu, memory, limit or memory, names.MILVUS, USER, INSTANCE)

    common = [
        part(ETCD, "etcd", wanted.members, 250, GIB, 4 * GIB),
        part(SETUP, "knowledge", 1, 100, 256 * MIB, 512 * MIB),
    ]
    if not wanted.cluster:
        return [*common, part(MILVUS, MILVUS, 1, 1000, wanted.memory)]
    return [
        *common,
        part(MILVUS, MILVUS, PAIR, 1000, 4 * GIB),
        part(COORDINATOR, MILVUS, PAIR, 500, 2 * GIB, 4 * GIB),
        part(QUERY, MILVUS, wanted.query_nodes, 2000, wanted.memory),
        part(DATA, MILVUS, PAIR, 1000, 4 * GIB, 8 * GIB),
        part(STREAMING, MILVUS, PAIR, 1000, 4 * GIB, 8 * GIB),
    ]
