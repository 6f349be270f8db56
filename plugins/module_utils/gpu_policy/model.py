"""Records of what is there, what is wanted, and what has to be done."""

from __future__ import annotations

from dataclasses import dataclass

# Order of the stages: a reset forgets everything volatile, and instances last while the driver stays loaded.
MODES, RESET, PERSISTENCE, LAYOUT, VOLATILE = range(5)


@dataclass(frozen=True)
class Power:
    """Watts: the limit as it is requested now, the board's default, and what may be asked for."""

    limit: float
    default: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class Clocks:
    """A pair of clocks in MHz."""

    memory: int
    graphics: int

    def __str__(self) -> str:
        return f"{self.memory} MHz memory, {self.graphics} MHz graphics"


@dataclass(frozen=True)
class Range:
    """Clocks in MHz between which a domain is locked."""

    lowest: int
    highest: int

    def __str__(self) -> str:
        return f"{self.lowest}-{self.highest} MHz"


@dataclass(frozen=True)
class Switch:
    """ECC or MIG mode: as it is, and as it will be after a reset or a boot."""

    now: bool
    later: bool


@dataclass(frozen=True)
class Gpu:
    """One GPU as nvidia-smi shows it; what it does not have is None. ``layout`` names its MIG instances."""

    index: int
    bus: str
    name: str
    persistence: bool | None
    compute_mode: str
    power: Power | None
    applications: Clocks | None
    default_applications: Clocks | None
    supported: tuple[Clocks, ...]
    graphics_clock: int | None
    memory_clock: int | None
    ecc: Switch | None
    mig: Switch | None
    layout: tuple[str, ...]
    processes: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """What one GPU shall be. ``power_limit`` 0 and ``application_clocks`` None are the board's defaults;
    ``mig`` None leaves MIG alone, an empty tuple turns it off."""

    persistence: bool = True
    power_limit: int = 0
    application_clocks: Clocks | None = None
    locked_graphics: Range | None = None
    locked_memory: Range | None = None
    compute_mode: str = "default"
    ecc: bool = True
    mig: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Action:
    """One setting of one GPU: arguments of nvidia-smi, one tuple per call."""

    gpu: int
    bus: str
    setting: str
    before: str
    after: str
    stage: int
    calls: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        return f"GPU {self.gpu} ({self.bus}): {self.setting} {self.before} -> {self.after}"


@dataclass(frozen=True)
class Plan:
    """Actions in the order of their stages; ``waiting`` is wanted and waits for consent or a boot; nothing at
    all is done when there are ``refusals``."""

    actions: tuple[Action, ...] = ()
    waiting: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()


Locks = dict[str, dict[str, list[int]]]  # bus id to domain (graphics, memory) to lowest and highest clock
