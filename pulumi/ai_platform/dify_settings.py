"""What the inventory says about Dify (``platform_dify``), as a frozen record."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from bedplate.inventory import Vars

DEFAULT_NODES = "storage_nodes"


@dataclass(frozen=True)
class Dify:
    """Where people reach it (``address``, https), who administers it first (an e-mail address), the group of
    ``nodes`` that it runs on and how many of each part. ``internet`` are the only hosts that code and plugins
    of users reach, ``networks`` those of the site, which they never do. ``plugins`` are signed packages in
    the plugins' bucket; ``plugin_key`` is the public key (PEM) of whoever signs the company's own;
    ``package_index`` is where plugins' Python packages come from. ``models`` are the services of the
    platform that it offers, ``embedding`` the one that makes its vectors."""

    address: str
    administrator: str
    nodes: str
    replicas: int = 1
    workers: int = 1
    internet: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    plugin_key: str = ""
    package_index: str = ""
    sandbox_runtime: str = ""
    models: tuple[str, ...] = ()
    embedding: str = ""

    @property
    def host(self) -> str:
        """The name in its address."""
        return urlsplit(self.address).hostname or ""

    @property
    def index_host(self) -> str:
        """Host of the package index; empty where there is none."""
        return urlsplit(self.package_index).hostname or ""

    @property
    def index_port(self) -> int:
        """Its port."""
        parts = urlsplit(self.package_index)
        return parts.port or {"http": 80}.get(parts.scheme, 443)


def read(platform: Vars, networks: Iterable[Vars]) -> Dify | None:
    """``platform_dify`` as a record; None where it is left out. It offers every model of ``platform_vllm``
    unless it names some; ``networks`` are ``site_networks``."""
    entry = platform.get("platform_dify")
    if entry is None:
        return None
    served = [service["name"] for service in platform.get("platform_vllm", [])]
    lists: dict[str, Sequence[str]] = {"internet": (), "plugins": (), "models": served}
    several: Vars = {name: tuple(entry.get(name, default)) for name, default in lists.items()}
    plain = {"nodes": DEFAULT_NODES} | {k: v for k, v in entry.items() if k not in lists}
    subnets = sorted({network["subnet"] for network in networks})
    return Dify(**plain | several, networks=tuple(subnets))
