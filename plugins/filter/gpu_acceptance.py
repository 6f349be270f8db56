"""Filter `gpu_findings`: what is wrong with a host's GPUs, one sentence each."""

from typing import Any

from bedplate.acceptance import verdict
from bedplate.acceptance.wanted import wanted


def gpu_findings(
    document: dict[str, Any],
    hardware: dict[str, Any],
    catalogue: dict[str, Any],
    acceptance: dict[str, Any],
    *,
    driver: str = "",
    policy: dict[str, Any] | None = None,
) -> list[str]:
    """Sentences about everything that refuses the host; the same judge as `bedplate accept`, which says
    besides what refuses nothing.
    """
    judged = verdict.judge("", document, wanted(hardware, catalogue, acceptance, driver, policy))
    return [str(complaint) for complaint in judged.failures]


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """The filters of this file by name."""
        return {"gpu_findings": gpu_findings}
