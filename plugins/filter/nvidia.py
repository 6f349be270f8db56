"""Filters about NVIDIA software: `package_source`, where packages come from."""

from collections.abc import Mapping
from typing import Any


def package_source(
    row: Mapping[str, Any],
    name: str,
    facts: Mapping[str, Any],
    mirror: str = "",
    instead: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Source ``name`` for pinned_packages: the vendor's, the site's ``mirror`` of it, or what the role says
    ``instead``.

    ``row`` is its row in catalogue_package_sources, ``facts`` are ansible_facts. Raises ValueError where the
    vendor has no packages for this distribution.
    """
    if instead:
        return {"name": name, **instead}
    version = (
        facts["distribution_version"]
        if facts["distribution"] == "Ubuntu"
        else facts["distribution_major_version"]
    )
    here = f"{facts['distribution']}-{version}-{facts['architecture']}"
    if here not in row["folders"]:
        there = ", ".join(sorted(row["folders"]))
        raise ValueError(f"source {name} has no packages for {here}; it has them for {there}")
    url = f"{mirror.rstrip('/')}/{row['mirror']}" if mirror else row["url"]
    folder = f"{url}/{row['folders'][here]}/"
    return {
        "name": name,
        "url": folder,
        "key": folder + row["key"],
        "fingerprint": row["fingerprint"],
    }


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """The filters of this file by name."""
        return {"package_source": package_source}
