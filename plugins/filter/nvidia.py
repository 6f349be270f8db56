"""Filters about NVIDIA software: where packages come from (`package_source`), which (`toolkit_packages`,
`fabric_kind`, `fabric_packages`), and what does not fit (`refused_versions`).
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from bedplate import paths
from bedplate.check.compatibility import judge

sys.path.append(str(paths.MODULE_UTILS))
from nvidia_packages import cuda, driver, fabric, flavour  # the modules choose by the same functions


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


def toolkit_packages(versions: Sequence[str], words: Mapping[str, Any]) -> list[dict[str, str]]:
    """Packages of CUDA toolkits, cuDNN and NCCL. ``words``: cudnn and nccl (versions, or empty), updates,
    install.

    Raises ValueError for what packages cannot give.
    """
    what = words["install"]
    found, refusals = cuda.cudnn(words["cudnn"], versions, what)
    if refusals:
        raise ValueError("; ".join(refusals))
    return [
        *cuda.toolkits(versions, words["updates"], what),
        *found,
        *cuda.nccl(words["nccl"], versions, what),
    ]


def fabric_kind(gpus: Mapping[str, Any], catalogue: Mapping[str, Any]) -> str:
    """none, nvswitch or nvlsm, by hardware_gpus."""
    return fabric.kind(gpus, catalogue)


def fabric_packages(
    gpus: Mapping[str, Any], catalogue: Mapping[str, Any], version: str
) -> list[dict[str, str]]:
    """Packages that go with driver ``version`` on a host with these GPUs."""
    return fabric.packages(fabric.kind(gpus, catalogue), version)


def driver_packages(
    words: Mapping[str, str],
    rows: Sequence[Mapping[str, Any]],
    model: str,
    catalogue: Mapping[str, Any],
) -> list[dict[str, str]]:
    """The driver's packages by the inventory alone; on the host module nvidia_driver sees the GPUs too.

    ``words``: version, source, distribution, build, kernel, and the kernel_module that is wished. Raises
    ValueError for what cannot be had.
    """
    chosen = flavour.choose(words["kernel_module"], model, catalogue, ())
    given = {key: value for key, value in words.items() if key != "kernel_module"}
    found, missing = driver.packages(driver.Wanted(module=chosen.module, **given), rows)
    refusals = [*chosen.refusals, *([missing] if missing else [])]
    if refusals:
        raise ValueError("; ".join(refusals))
    return found


def refused_versions(values: Mapping[str, Any]) -> list[str]:
    """What of a host's versions does not fit, in the words of `bedplate check`."""
    names = [name for name in values if name.startswith(("version_", "compatibility_"))]
    problems = judge({name: values[name] for name in names}, gpus=True)
    return [f"{problem.why}; {problem.remedy}" for problem in problems if problem.level == "error"]


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """The filters of this file by name."""
        return {
            "package_source": package_source,
            "toolkit_packages": toolkit_packages,
            "toolkit_family": cuda.family,
            "fabric_kind": fabric_kind,
            "fabric_packages": fabric_packages,
            "driver_packages": driver_packages,
            "refused_versions": refused_versions,
        }
