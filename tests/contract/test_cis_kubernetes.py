"""The CIS list of Kubernetes holds for what the roles write, and the guide says what it says."""

import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from bedplate import paths
from tests import kubernetes_rendered as rendered

RULES = rendered.rules()
HELD = [rule for rule in RULES if rule.get("where", "kubeadm") != "kubeadm"]
KUBEADM = sorted(paths.cache("tools").glob("kubeadm/*/kubeadm"))


def test_every_control_is_there_once_and_says_how() -> None:
    numbers = [str(rule["id"]) for rule in RULES]
    assert len(set(numbers)) == len(numbers) >= 120
    sections = {"1.1": 21, "1.2": 30, "1.3": 7, "1.4": 2, "4.1": 10, "4.2": 15, "5.1": 13, "5.2": 13}
    for section, count in sections.items():
        assert [n for n in numbers if n.startswith(f"{section}.")] == [
            f"{section}.{i + 1}" for i in range(count)
        ]
    for rule in RULES:
        assert len({"where", "argued", "person"} & set(rule)) == 1, rule


@pytest.mark.parametrize("rule", HELD, ids=lambda rule: f"{rule['id']} {rule['subject']}")
def test_the_roles_write_it(rule: dict[str, Any]) -> None:
    holds, found = rendered.verdict(rule, rendered.settings())
    assert holds, f"{rule}: {found}"


def test_a_changed_template_fails() -> None:
    found = deepcopy(rendered.settings())
    (rule,) = [rule for rule in RULES if rule["id"] == "1.2.15"]
    assert rendered.verdict(rule, found)[0]
    found["api_server"]["profiling"] = "true"
    assert not rendered.verdict(rule, found)[0]
    del found["api_server"]["profiling"]
    assert not rendered.verdict(rule, found)[0]


@pytest.mark.skipif(not KUBEADM, reason="kubeadm is not built here: bedplate tools build kubeadm")
def test_kubeadm_takes_the_configuration_and_knows_the_flags_that_are_its_own(tmp_path: Path) -> None:
    """The real kubeadm judges the file; its source names each flag that the list leaves to it."""
    file = tmp_path / "kubeadm.yml"
    file.write_text(rendered.template(rendered.PLANE, "kubeadm-init.yml"))
    command = [str(KUBEADM[-1]), "config", "validate", "--config", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    own = {str(rule["key"]) for rule in RULES if rule.get("where") == "kubeadm" and "key" in rule}
    text = KUBEADM[-1].read_bytes()
    assert [flag for flag in own if flag.encode() not in text] == []


def test_the_guide_is_what_the_list_says() -> None:
    assert rendered.DOCUMENT.read_text() == rendered.document()
