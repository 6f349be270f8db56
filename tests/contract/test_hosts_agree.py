"""The check on the controller and the modules on the hosts agree on models, containers and RDMA."""

import pytest
import yaml
from model_store.manifest import DIGEST, safe_path
from model_store.places import OWN
from rdma import model as rdma

from bedplate import paths
from bedplate.check import models
from bedplate.tools import spec
from tests.inventory_samples import base, on, outcome

SUM = "a" * 64
NAMES = [
    "acme/thing/1",
    "triton/bge-m3",
    "a/../b",
    "../x",
    "/etc/x",
    "a//b",
    "a/./b",
    "a/b/",
    ".bedplate/staging",
    "a/b\x00",
    "a/b\n",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_path_that_the_check_lets_pass_the_module_takes(name: str) -> None:
    edits = [
        on("gpu_nodes", "model_store_models", to=[{"name": name, "manifest": SUM}]),
        on("gpu_nodes", "model_store_sources", to=[{"url": "https://mirror.example.com"}]),
    ]
    passes = not outcome("production", *edits).errors
    assert passes == (safe_path(name) and name.split("/", maxsplit=1)[0] != OWN)


@pytest.mark.parametrize("digest", [SUM, "A" * 64, "a" * 63, "", SUM + "\n"])
def test_digests_are_the_same_in_both(digest: str) -> None:
    assert bool(models._DIGEST.fullmatch(digest)) == bool(DIGEST.fullmatch(digest))


def test_the_default_containerd_has_its_digest_and_is_what_the_tests_run() -> None:
    values = next(iter(base("lab").hosts.values()))
    assert values["version_containerd"] in values["catalogue_containerd"]
    assert values["version_containerd"] == spec.load()["containerd"].version


def test_digests_of_releases_are_digests() -> None:
    catalogue = yaml.safe_load((paths.COMMON / "container_runtime.yml").read_text())["catalogue_containerd"]
    listed = [digest for digests in catalogue.values() for digest in digests.values()]
    assert all(DIGEST.fullmatch(digest) for digest in listed) and len(set(listed)) == len(listed)


def test_quality_of_service_has_one_default() -> None:
    role = yaml.safe_load((paths.ROLES / "rdma" / "defaults" / "main.yml").read_text())
    assert role["rdma_roce"] == vars(rdma.Roce())
