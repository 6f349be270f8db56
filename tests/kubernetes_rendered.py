"""What roles kubernetes_node and kubernetes_control_plane write where nobody sets anything: their defaults,
through their own templates, without Ansible. ``python -m tests.kubernetes_rendered`` writes
docs/cis-kubernetes.md.
"""

import json
import re
from functools import cache
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader
from jinja2.nativetypes import NativeEnvironment

from bedplate import paths

Data = dict[str, Any]
RULES = paths.ROOT / "tests" / "contract" / "cis_kubernetes.yml"
DOCUMENT = paths.ROOT / "docs" / "cis-kubernetes.md"
NODE, PLANE = "kubernetes_node", "kubernetes_control_plane"
HOST: Data = {
    "inventory_hostname": "ctl1",
    "group_names": ["control_plane"],
    "groups": {"control_plane": ["ctl1"], "kubernetes": ["ctl1"]},
    "hostvars": {"ctl1": {}},
    "ansible_facts": {"architecture": "x86_64"},
    "ansible_inventory_sources": ["lab"],
    "site_networks": [{"name": "cluster", "zone": "compute", "subnet": "10.0.0.0/24", "mtu": 9000}],
    "vlan_network_addresses": {"cluster": "10.0.0.1"},
    "kubernetes_node_pods": "10.244.1.0/24",
    "kubernetes_control_plane_taint": False,
    "kubernetes_encryption_keys": [{"name": "one", "secret": "AAAA"}],
}


@cache
def words(role: str) -> Data:
    """The role's variables and the common ones, as they are written."""
    files = [*sorted(paths.COMMON.glob("*.yml")), *sorted((paths.ROLES / role / "vars").glob("*.yml"))]
    files.append(paths.ROLES / role / "defaults" / "main.yml")
    return {name: value for file in files for name, value in yaml.safe_load(file.read_text()).items()} | HOST


def value(role: str, written: Any) -> Any:
    """A value with the variables in it resolved, as Ansible does."""
    if isinstance(written, str) and "{{" in written:
        return _environment(NativeEnvironment, role).from_string(written.strip()).render(_used(role, written))
    if isinstance(written, dict):
        return {key: value(role, item) for key, item in written.items()}
    return [value(role, item) for item in written] if isinstance(written, list) else written


def template(role: str, name: str) -> str:
    """A template of the role as text."""
    environment = _environment(Environment, role)
    written = (paths.ROLES / role / "templates" / f"{name}.j2").read_text()
    return environment.from_string(written).render(_used(role, written))


def documents(name: str) -> dict[str, Data]:
    """The documents of a template of role kubernetes_control_plane by kind."""
    return {one["kind"]: one for one in yaml.safe_load_all(template(PLANE, name))}


def _used(role: str, written: str) -> Data:
    known = words(role)
    return {name: value(role, known[name]) for name in set(re.findall(r"\w+", written)) & set(known)}


def _environment(kind: type[Environment], role: str) -> Environment:
    made = kind(
        loader=FileSystemLoader(paths.ROLES / role / "templates"),
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= FILTERS
    return made


def _combine(first: Data, *others: Data, recursive: bool = False) -> Data:
    for other in others:
        first = first | other
    return first


FILTERS: dict[str, Any] = {
    "combine": _combine,
    "to_json": lambda value: json.dumps(value, default=list),
    "to_nice_yaml": lambda value, indent=2: yaml.safe_dump(value, indent=indent),
    "regex_replace": lambda text, pattern, new: re.sub(pattern, new, text),
    "environment": lambda sources: sources[0],
    "bool": bool,
}


@cache
def settings() -> dict[str, Data]:
    """Everything that rules of the list speak of, by their word ``where``."""
    cluster = documents("kubeadm-init.yml")
    parts = {"api_server": "apiServer", "controller_manager": "controllerManager", "scheduler": "scheduler"}
    flags = {word: cluster["ClusterConfiguration"][part] for word, part in parts.items()}
    flags["etcd"] = cluster["ClusterConfiguration"]["etcd"]["local"]
    kubelet = yaml.safe_load(template(NODE, "10-bedplate.conf"))
    writers = documents("encryption.yml")["EncryptionConfiguration"]["resources"][0]["providers"]
    admission = documents("admission.yml")["AdmissionConfiguration"]["plugins"][0]["configuration"][
        "defaults"
    ]
    unit = re.findall(r"--([a-z-]+)", template(NODE, "kubelet.service"))
    return {word: {f["name"]: f["value"] for f in part["extraArgs"]} for word, part in flags.items()} | {
        "kubelet": kubelet,
        "kubeproxy": cluster["KubeProxyConfiguration"],
        "files": _modes(),
        "encryption": {"provider": next(iter(writers[0]))},
        "admission": admission,
        "audit": _audit(),
        "unit": dict.fromkeys(unit, True),
        "defaults": words(PLANE),
    }


def _modes() -> Data:
    """Modes of the files that role kubernetes_node writes; config_files' default is 0644."""
    tasks = yaml.safe_load((paths.ROLES / NODE / "tasks" / "configure.yml").read_text())
    lists = [part for name, part in tasks[0]["vars"].items() if isinstance(part, list)]
    return {value(NODE, file["path"]): file.get("mode", "0644") for part in lists for file in part}


def _audit() -> Data:
    """Resources by the level at which the audit policy records them."""
    levels: dict[str, list[str]] = {}
    for rule in documents("audit-policy.yml")["Policy"]["rules"]:
        named = [name for group in rule.get("resources", []) for name in group["resources"]]
        levels.setdefault(rule["level"], []).extend(named)
    return levels


def rules() -> list[Data]:
    """The list."""
    found: list[Data] = yaml.safe_load(RULES.read_text())
    return found


def looked_up(found: Data, key: str) -> Any:
    """A value by its dotted path, or as it is called; None where it is not set."""
    if key in found:
        return found[key]
    head, _, rest = key.partition(".")
    return looked_up(found[head], rest) if rest and isinstance(found.get(head), dict) else None


def verdict(rule: Data, found: dict[str, Data]) -> tuple[bool, str]:
    """Whether a rule holds, and what was found."""
    have = looked_up(found[rule["where"]], str(rule["key"]))
    listed = have if isinstance(have, list) else str(have if have is not None else "").split(",")
    tests = {
        "is": lambda want: have == want,
        "has": lambda want: want in listed,
        "lacks": lambda want: want not in listed,
        "only": lambda want: have is not None and all(one.startswith(want) for one in listed),
        "at_least": lambda want: have is not None and int(have) >= want,
        "set": lambda want: (have is not None) == want,
    }
    (kind,) = set(tests) & set(rule)
    return tests[kind](rule[kind]), "not set" if have is None else ", ".join(map(str, listed))


def document() -> str:
    """docs/cis-kubernetes.md."""
    found, lines = settings(), []
    for rule in rules():
        if "argued" in rule:
            how, said = "exception", rule["argued"]
        elif "person" in rule:
            how, said = "people", rule["person"]
        elif rule["where"] == "kubeadm":
            how, said = "set", "by kubeadm" + (f", `--{rule['key']}`" if "key" in rule else "")
        else:
            said = verdict(rule, found)[1].replace(",", ", ").replace(",  ", ", ")
            how, said = "set", f"{rule['where'].replace('_', ' ')} `{rule['key']}`: {said}"
        lines.append(f"| {rule['id']} | {rule['subject']} | {how} | {said} |")
    return HEAD + "\n".join(lines) + "\n"


HEAD = """# The CIS list of Kubernetes
Each control of the CIS Kubernetes Benchmark 1.11, by its number, and what the roles make of it: **set** (in a
file that a role writes, or by kubeadm itself), **exception** (we do otherwise, and say why), **people**
(nobody else can see to it; where they find it). A test holds the rendered configuration against this list, so
a changed template fails; what kubeadm does is its own, and `kube-bench` on a host is the judge of it.

Written by `python -m tests.kubernetes_rendered` from `tests/contract/cis_kubernetes.yml`. Other values of the
inventory (`kubernetes_node_kubelet`, `kubernetes_control_plane_flags`) are the site's own to argue.

| control | subject | how | what |
|---|---|---|---|
"""


if __name__ == "__main__":
    DOCUMENT.write_text(document())
