"""The inventories' files: what the architecture says of them is true of them."""

import re
from pathlib import Path

import pytest
import yaml

from bedplate import paths
from bedplate.check import compatibility, hosts
from bedplate.check.versions import matches
from tests.inventory_samples import base

ENVIRONMENTS = sorted(path.parent.name for path in paths.INVENTORIES.glob("*/hosts.yml"))
COMMON = {file.name: yaml.safe_load(file.read_text()) for file in sorted(paths.COMMON.glob("*.yml"))}
TABLES = COMMON["compatibility.yml"]
GPUS = COMMON["gpus.yml"]["catalogue_gpus"]
VERSIONS = COMMON["versions.yml"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_environment_reads_the_shared_truth_by_a_relative_link(environment: str) -> None:
    link = paths.INVENTORIES / environment / "group_vars" / "all" / "common"
    assert link.is_symlink()
    assert not link.readlink().is_absolute()
    assert link.resolve() == paths.COMMON


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_hosts_of_an_environment_are_told_from_those_of_others(environment: str) -> None:
    """Evidence, certificates and logs of several environments come together: names must not clash."""
    mine = set(base(environment).hosts)
    others = {host for other in ENVIRONMENTS if other != environment for host in base(other).hosts}
    assert mine & others == set()


@pytest.mark.parametrize("file", COMMON)
def test_common_is_flat_and_plain(file: str) -> None:
    text = (paths.COMMON / file).read_text()
    assert not re.search(r"\{\{|\{%|!vault", text)
    prefixes = ("version_", "port_", "path_", "compatibility_", "catalogue_", "monitoring_", "logs_")
    assert [name for name in COMMON[file] if not name.startswith(prefixes)] == []


def test_names_in_common_stand_once() -> None:
    names = [name for content in COMMON.values() for name in content]
    assert sorted(names) == sorted(set(names))


def test_every_row_has_its_source() -> None:
    rows = [row for table in TABLES.values() if isinstance(table, list) for row in table]
    cuda = TABLES["compatibility_cuda"]
    assert [row for row in rows if not row.get("source") and row not in cuda] == []
    assert TABLES["compatibility_cuda_source"]
    assert [name for name, gpu in GPUS.items() if not gpu["source"]] == []


def test_every_bound_is_one() -> None:
    """A mistyped bound would raise when it is first needed, or name a variable that is not there."""
    for table in compatibility._TABLES:
        for row in TABLES[table]:
            for part in ("when", "need", "own"):
                for name, bound in row.get(part, {}).items():
                    assert name in VERSIONS
                    assert bound in VERSIONS or matches("1", bound) in (True, False)
    for gpu in GPUS.values():
        assert matches("580.1", gpu["driver"]) in (True, False)
        assert matches("13.0", gpu["cuda"]) in (True, False)


def test_every_table_is_used_and_covers_what_it_says() -> None:
    branches = {table for table, _ in compatibility._BRANCHES.values()}
    rows = {name for name, value in TABLES.items() if isinstance(value, list)}
    assert rows == branches | set(compatibility._TABLES)
    assert set(TABLES["compatibility_covered"]) <= set(VERSIONS)
    assert set(TABLES["compatibility_covered"].values()) <= rows


def test_driver_branches_are_newest_first() -> None:
    branches = [int(row["branch"]) for row in TABLES["compatibility_driver_branches"]]
    assert branches == sorted(branches, reverse=True)
    assert all(
        row["latest"].startswith(row["branch"] + ".") for row in TABLES["compatibility_driver_branches"]
    )


def test_cuda_comes_with_a_driver_that_runs_it() -> None:
    for row in TABLES["compatibility_cuda"]:
        own = row["own"]["version_nvidia_driver"].removeprefix(">=")
        assert matches(own if "." in own else f"{own}.65.06", row["need"]["version_nvidia_driver"])


def test_gpu_products_are_distinct_and_ids_belong_to_one_model() -> None:
    products = [gpu["product"] for gpu in GPUS.values()]
    ids = [device for gpu in GPUS.values() for device in gpu["device_ids"]]
    assert len(set(products)) == len(products)
    assert len(set(ids)) == len(ids)


def test_gpu_facts_hang_together() -> None:
    for name, gpu in GPUS.items():
        major = int(gpu["compute"].split(".")[0])
        assert ("open" in gpu["kernel_modules"]) == (major > 7 or gpu["compute"] == "7.5"), name
        assert ("proprietary" in gpu["kernel_modules"]) == (major < 10), name
        assert gpu["power"]["min"] <= gpu["power"]["default"] <= gpu["power"]["max"], name
        assert (gpu["fabric"] == "none") == (not gpu["fabric_boards"]), name
        assert set(gpu["fabric_boards"]) <= set(gpu["boards"]), name


def test_mig_layouts_are_for_gpus_that_exist() -> None:
    layouts = COMMON["mig.yml"]["catalogue_mig"].values()
    assert {model for layout in layouts for model in layout["gpus"]} <= set(GPUS)


def test_default_versions_fit_every_gpu_that_still_has_a_driver_branch() -> None:
    for name, gpu in GPUS.items():
        if name != "v100-sxm2-32gb":  # the last of its kind: CUDA 13 has left it behind
            assert matches(VERSIONS["version_nvidia_driver"], gpu["driver"]), name
            assert all(matches(cuda, gpu["cuda"]) for cuda in VERSIONS["version_cuda"]), name


def test_groups_of_the_check_are_those_of_the_playbooks() -> None:
    texts = "\n".join(file.read_text() for file in paths.PLAYBOOKS.glob("*.yml"))
    named = {
        group
        for line in re.findall(r"^\s*hosts: (.+)$", texts, re.M)
        for group in re.findall(r"[a-z_]+", line)
    }
    words = {"all", "localhost", "default", "omit", "wipe_host", "storage_wipe_host"}
    known = {*hosts.GROUPS, "new_nodes"}  # which add_node.yml makes while it runs
    assert {group for group in named if group.endswith(("nodes", "plane", "gateways"))} <= known
    assert named & set(hosts.GROUPS) or named <= words


def test_inventory_files_have_the_homes_that_findings_name() -> None:
    """Where nobody wrote a value, the finding names the file where people keep such values."""
    for environment in ENVIRONMENTS:
        folder: Path = paths.INVENTORIES / environment
        for host in base(environment).hosts:
            assert "hardware_disks" in (folder / "host_vars" / host / "hardware.yml").read_text()
            assert "vlan_network_addresses" in (folder / "host_vars" / host / "network.yml").read_text()
        assert "site_networks" in (folder / "group_vars" / "all" / "site.yml").read_text()
        assert "vlan_network_links" in (folder / "group_vars" / "all" / "network.yml").read_text()
