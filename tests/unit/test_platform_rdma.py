"""RDMA cards as a resource that pods ask for: offered exactly where the inventory has them."""

import json

import pytest

from ai_platform import names, rdma_objects
from ai_platform.reading import read
from bedplate.rehearse import nodes
from tests.platform_samples import host, inventory, vllm
from tests.rendered import find, record

R1 = vllm(name="r1", model="deepseek-r1", hosts=2, gpus=8)


def hosts(kind: str) -> dict[str, dict[str, object]]:
    """Two GPU hosts with RDMA ports of different names, a third and the control plane without."""
    ports = {"gpu1": ["ib0", "ib1"], "gpu2": ["ib1", "ib2"]}
    made = {name: host("h100-sxm5-80gb") for name in ("gpu1", "gpu2", "gpu3")} | {"ctl1": host()}
    for name, found in ports.items():
        made[name]["hardware_nics"] = [
            *made[name]["hardware_nics"],
            *({"name": p, "kind": kind} for p in found),
        ]
    return made


@pytest.mark.parametrize("kind", ["infiniband", "roce"])
def test_the_plugin_runs_where_the_cards_are_and_offers_what_pods_ask_for(kind: str) -> None:
    objects = record(inventory(hosts(kind))).objects
    pod = find(objects, "DaemonSet", rdma_objects.PLUGIN)["spec"]["template"]["spec"]
    required = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    (rule,) = required["nodeSelectorTerms"][0]["matchExpressions"]
    assert rule == {"key": "kubernetes.io/hostname", "operator": "In", "values": ["gpu1", "gpu2"]}
    assert pod["hostNetwork"]
    text = find(objects, "ConfigMap", rdma_objects.PLUGIN)["data"]["config.json"]
    (resource,) = json.loads(text)["configList"]
    assert f"{resource['resourcePrefix']}/{resource['resourceName']}" == names.RDMA_RESOURCE
    assert resource["selectors"] == {"ifNames": ["ib0", "ib1", "ib2"]}


def test_without_a_card_there_is_no_plugin() -> None:
    objects = record(inventory(vllm=[R1])).objects
    assert read(inventory()).rdma is None
    assert not [o for o in objects if o["metadata"]["name"] == rdma_objects.PLUGIN]


def test_the_rehearsal_offers_as_many_shares_as_the_plugin() -> None:
    known = inventory(hosts("infiniband"))
    rdma = read(known).rdma
    assert rdma is not None
    offered = {
        n["metadata"]["name"]: n["status"]["capacity"].get(names.RDMA_RESOURCE) for n in nodes.nodes(known)
    }
    assert offered == dict.fromkeys(rdma.hosts, str(rdma.shares)) | {"gpu3": None, "ctl1": None}
