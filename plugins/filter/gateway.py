"""Filters of role nginx_gateway: what an inventory writes, as nginx's configuration wants it."""

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from bedplate.gateway.plan import model

Data = Mapping[str, Any]


def gateway_model(
    routes: Sequence[Data], groups: Sequence[Data], upstreams: Sequence[Data], limits: Data
) -> dict[str, Any]:
    """What the template reads; fails with every fault of the data."""
    try:
        return model(routes, groups, upstreams, limits)
    except ValueError as faults:
        raise AnsibleFilterError(f"nothing was changed: {faults}") from None


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """The filters of this file by name."""
        return {"gateway_model": gateway_model}
