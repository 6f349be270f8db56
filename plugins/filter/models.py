"""Filters of role model_store: what an inventory writes, as the module wants it."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from ansible.errors import AnsibleFilterError

from bedplate.units import parse_bytes


def model_path(name: str, catalogue: Mapping[str, Any]) -> str:
    """Folder of a model below the store: of one that the catalogue knows REPOSITORY/REVISION, else the name
    itself."""
    known = catalogue.get(name)
    if known:
        return f"{known['repository']}/{known['revision']}"
    if "/" not in name:
        raise AnsibleFilterError(
            f"{name} is no model of catalogue_models; write a path such as OWNER/NAME/REVISION"
        )
    return name


def model_wishes(models: Sequence[Mapping[str, str]], catalogue: Mapping[str, Any]) -> list[dict[str, str]]:
    """``model_store_models`` as paths with the digests of their manifests."""
    return [{"path": model_path(one["name"], catalogue), "manifest": one["manifest"]} for one in models]


def model_paths(names: Sequence[str], catalogue: Mapping[str, Any]) -> list[str]:
    """Names as paths."""
    return [model_path(name, catalogue) for name in names]


def tier_mounts(folders: Sequence[str], tiers: Sequence[Mapping[str, Any]]) -> list[str]:
    """Mount points of the storage tiers on which the folders lie."""
    mounts = [PurePosixPath(tier["mount"]) for tier in tiers]
    chains = [PurePosixPath(folder) for folder in folders if folder]
    return sorted({str(mount) for mount in mounts for chain in chains if mount in (chain, *chain.parents)})


def size_in_bytes(text: str) -> int:
    """``20GB`` as 20000000000."""
    try:
        return parse_bytes(text)
    except ValueError as problem:
        raise AnsibleFilterError(str(problem)) from problem


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """The filters of this file by name."""
        return {
            "model_wishes": model_wishes,
            "model_paths": model_paths,
            "tier_mounts": tier_mounts,
            "size_in_bytes": size_in_bytes,
        }
