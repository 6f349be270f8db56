"""The platform of a generated inventory fits it, whatever its size."""

import pytest
import yaml

from ai_platform.reading import read
from bedplate.scaffold.generate import sample
from bedplate.scaffold.services import services
from bedplate.scaffold.write import render
from tests.platform_samples import host, inventory


@pytest.mark.parametrize("hosts", [7, 10, 12, 100, 1000])
def test_generated_services_pass_every_check_and_leave_gpus_free(hosts: int) -> None:
    answers = sample(hosts)
    kind = answers.machines["gpu_nodes"]
    written = yaml.safe_load(render(services(answers)))
    assert written["platform_registry"].endswith(answers.domain)
    machines = {f"gpu{n}": host(kind.gpu, kind.gpus) for n in range(kind.count)} | {"ctl1": host()}
    settings = read(inventory(machines, vllm=written["platform_vllm"]))
    taken = sum(s.replicas * s.layout.tensor * s.layout.pipeline for s in settings.vllm)
    assert 0.5 <= taken / (kind.count * kind.gpus) <= 0.95


def test_a_thousand_hosts_have_thousands_of_pods() -> None:
    written = services(sample(1000)).data["platform_vllm"]
    assert sum(entry["replicas"] * entry.get("hosts", 1) for entry in written) > 2000
