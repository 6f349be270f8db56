"""Which index a collection of vectors wants, and what memory and disk it takes: pure arithmetic.

Sources. Vectors are 32-bit floats. HNSW: the vector and 2 x M links of four bytes for each row (hnswlib, the
implementation behind Milvus' HNSW; M 18 is Milvus' own default for AUTOINDEX). IVF_SQ8: one byte for
a dimension; with centroids and row ids 0.27 of the raw vectors. DISKANN: compressed vectors in memory, an
eighth to a quarter of the raw ones (the larger is taken), and about twice the raw vectors on NVMe (Milvus'
on-disk index guide). A query node wants a quarter more than its indexes for growing segments and queries
(Milvus' sizing advice: 1.2 to 1.3), and Milvus slows writers down at 0.85 of a node's memory
(quotaAndLimits.limitWriting.memProtection).
"""

from collections.abc import Iterable
from dataclasses import dataclass

FLOAT = 4
LINK = 4
M = 18
FLAT_MOST = 50_000  # rows that brute force answers in milliseconds on one core, at a thousand dimensions
WORK = 1.25  # times the index, for growing segments and queries
SLOWED = 0.85  # of a node's memory: writers are slowed from there
DISKANN_MEMORY, DISKANN_DISK = 0.25, 2.0
SQ8 = 0.27
LISTS_LEAST, LISTS_MOST = 128, 65_536
FLAT = 1.01


@dataclass(frozen=True)
class Collection:
    """What a collection is meant to hold. ``replicas`` are its copies in memory, on different nodes."""

    name: str
    rows: int
    dimensions: int
    replicas: int = 1

    @property
    def raw(self) -> int:
        """Bytes of the vectors themselves."""
        return self.rows * self.dimensions * FLOAT


@dataclass(frozen=True)
class Index:
    """One way to index a collection. Bytes of all replicas: ``memory`` on query nodes with room to work,
    ``disk`` on their NVMe. ``recall`` in words, for whoever chooses."""

    kind: str
    memory: int
    disk: int
    recall: str
    parameters: str = ""


def indexes(collection: Collection) -> tuple[Index, ...]:
    """Every candidate, from the exact one to the smallest."""
    raw, copies = collection.raw, collection.replicas
    links = collection.rows * 2 * M * LINK

    def one(kind: str, memory: float, disk: float, recall: str, parameters: str = "") -> Index:
        return Index(kind, round(memory * WORK) * copies, round(disk) * copies, recall, parameters)

    return (
        one("FLAT", raw * FLAT, 0, "exact"),
        one("HNSW", raw + links, 0, "0.95 and more", f"M={M}, efConstruction=240"),
        one("IVF_SQ8", raw * SQ8, 0, "0.90 and more", f"nlist={lists(collection.rows)}"),
        one("DISKANN", raw * DISKANN_MEMORY, raw * DISKANN_DISK, "0.95 and more, milliseconds slower"),
    )


def lists(rows: int) -> int:
    """IVF's number of lists: 4 x the root of the rows (Milvus' advice), a power of two, 128 to 65536."""
    wanted = 4 * rows**0.5
    power = LISTS_LEAST
    while power < wanted and power < LISTS_MOST:
        power *= 2
    return power


def advise(collection: Collection, memory: int = 0, nvme: int = 0) -> Index | None:
    """The best index that fits ``memory`` bytes (all query nodes together; 0: no limit) and ``nvme`` bytes of
    cache. Exact where the rows are few, then HNSW, DISKANN where there is NVMe, SQ8 last; None where nothing
    fits."""
    found = {index.kind: index for index in indexes(collection)}
    order = ["HNSW", "DISKANN", "IVF_SQ8"]
    if collection.rows <= FLAT_MOST:
        order.insert(0, "FLAT")
    for kind in order:
        index = found[kind]
        if (not memory or index.memory <= memory * SLOWED) and index.disk <= nvme:
            return index
    return None


def advise_all(
    collections: Iterable[Collection], memory: int, nvme: int
) -> list[tuple[Collection, Index | None]]:
    """One after another, each with what those before it left; the smallest first, which lose most by a
    coarser index and cost least."""
    left, disk = memory, nvme
    found = []
    for collection in sorted(collections, key=lambda one: one.raw):
        index = advise(collection, max(left, 1), disk)
        if index:
            left, disk = left - round(index.memory / SLOWED), disk - index.disk
        found.append((collection, index))
    return found
