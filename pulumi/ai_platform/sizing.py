"""Sizes that follow from a model and its hosts: what a pod asks for, how long it takes to start."""

from dataclasses import dataclass

from ai_platform.settings import NodeGroup, Pace, TritonService
from bedplate.capacity.fit import load_seconds
from bedplate.capacity.models import GIB, Model

HOST_RESERVE_CPUS = 8  # kubelet, container runtime, exporters and DaemonSets of one host
CPUS_PER_GPU = 12  # most that a serving pod asks for per GPU; vLLM's own sample takes 125 for eight
MEMORY_PER_GPU = 24 * GIB  # 8 GPUs: 192 GiB and shared memory, which is the least that a 671B host wants
SHARED_MEMORY_PER_GPU = 4 * GIB
SHARED_MEMORY_MOST = 16 * GIB
SCRATCH = 40 * GIB  # compile caches and logs on the node's own disk
BATCH_GPU_MEMORY = 0.92
TRITON_GPU_MEMORY = 0.85  # Triton itself and its other models need some of the GPU
TRITON_CONTEXT = 8192  # tokens that Triton's vLLM back end is started with
TRITON_CPUS = 4  # of a pod without GPUs
TRITON_MEMORY = 16 * GIB
PROBE_PERIOD = 10  # seconds
PROBE_LEAST = 60  # failures that a start-up probe always allows: 10 minutes


@dataclass(frozen=True)
class PodSize:
    """Requests of one pod; memory, shared memory and scratch in bytes."""

    cpus: int
    memory: int
    shared_memory: int
    scratch: int
    gpus: int


@dataclass(frozen=True)
class Start:
    """``seconds`` a pod is expected to take until it answers, ``failures`` its start-up probe allows."""

    seconds: int
    failures: int

    @property
    def budget(self) -> int:
        """Seconds that the start-up probe gives."""
        return self.failures * PROBE_PERIOD


def gpu_pod(nodes: NodeGroup, gpus: int) -> PodSize:
    """A serving pod with ``gpus`` GPUs: its share of the host's CPUs, memory for staging weights."""
    share = (nodes.cpus - HOST_RESERVE_CPUS) // max(nodes.gpus_per_host, 1)
    shared = min(SHARED_MEMORY_MOST, SHARED_MEMORY_PER_GPU * gpus)
    return PodSize(
        cpus=max(1, min(CPUS_PER_GPU, share)) * gpus,
        memory=MEMORY_PER_GPU * gpus + shared,
        shared_memory=shared,
        scratch=SCRATCH,
        gpus=gpus,
    )


def model_start(model: Model, pace: Pace, image_bytes: int) -> Start:
    """Load and warm up one model. Every host of a group opens all files, so a group is no faster than one
    host."""
    return start(load_seconds(model, pace.load), pace, image_bytes)


def start(load: int, pace: Pace, image_bytes: int) -> Start:
    """A start whose loading takes ``load`` seconds. The probe is patient: starting over would only take
    longer."""
    failures = max(PROBE_LEAST, -(-load * pace.patience // PROBE_PERIOD))
    return Start(seconds=load + image_bytes // pace.pull, failures=failures)


def triton_pod(service: TritonService) -> PodSize:
    """A Triton pod: as a serving pod when it has GPUs, otherwise four CPUs."""
    if service.gpus:
        return gpu_pod(service.nodes, service.gpus)
    return PodSize(TRITON_CPUS, TRITON_MEMORY, SHARED_MEMORY_PER_GPU, SCRATCH, 0)
