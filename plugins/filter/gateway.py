"""Filters of role nginx_gateway: what an inventory writes, as nginx's configuration wants it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.display import Display

from bedplate.gateway import behind
from bedplate.gateway.plan import model
from bedplate.service_certificate import certificates

Data = Mapping[str, Any]
ABSENT = "nobody is let through to {}: {} is not there yet; run `bedplate secrets`, and then this once more"


def gateway_model(
    routes: Sequence[Data],
    groups: Sequence[Data],
    upstreams: Sequence[Data],
    limits: Data,
    names: Sequence[str],
) -> dict[str, Any]:
    """What the template reads; fails with every fault of the data."""
    with _refusing():
        return model(routes, groups, upstreams, limits, names)


def gateway_files(upstreams: Sequence[Data], state: str, folder: str) -> list[dict[str, str]]:
    """Certificates that the controller has below ``state``, as files below ``folder`` on the gateways."""
    found = []
    for upstream in upstreams:
        if name := upstream.get("tls", {}).get("certificate"):
            file = Path(state, name)
            text = "".join(certificates(file.read_text())) if file.is_file() else ""
            if text:
                found.append({"path": f"{folder}/{upstream['name']}.crt", "content": text})
            else:
                Display().warning(ABSENT.format(upstream["name"], name))
    return found


def gateway_upstreams(
    upstreams: Sequence[Data], files: Sequence[Data], groups: Data, hostvars: Data, port: int
) -> list[dict[str, Any]]:
    """Upstreams with their servers, and whom to trust: one of ``files``, or nobody."""
    hosts = {host for one in upstreams if "hosts" in one for host in groups.get(one["hosts"]["group"], ())}
    addresses = {host: hostvars[host].get("vlan_network_addresses", {}) for host in hosts}
    there = {Path(file["path"]).stem: file["path"] for file in files}
    trusted = {one["name"]: there.get(one["name"], "") for one in upstreams}
    with _refusing():
        return behind.resolved(upstreams, groups, addresses, port, trusted)


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except ValueError as faults:
        raise AnsibleFilterError(f"nothing was changed: {faults}") from None


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """The filters of this file by name."""
        return {
            "gateway_files": gateway_files,
            "gateway_model": gateway_model,
            "gateway_upstreams": gateway_upstreams,
        }
