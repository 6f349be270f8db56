#!/usr/bin/python
"""Loads one nftables table that lets in what the zones of the host may reach, and nothing else."""

DOCUMENTATION = r"""
module: firewall
short_description: One nftables table with the zones and services of the inventory
description:
  - Renders table C(inet bedplate) and loads it in one transaction. No other table is read or changed.
  - Compares what is loaded with what the file would load (in a network namespace of its own), so rules that
    were changed by hand are seen and every run tells the truth.
  - The connection by which the controller came in is let in, whatever the rules say; a change is armed and
    taken back by the host unless a new connection of the controller confirms it.
author: [Bedplate]
options:
  state:
    description: C(present) loads the table; C(confirmed) ends an armed change.
    type: str
    choices: [present, confirmed]
    default: present
  zones: {description: Interfaces of each zone., type: dict, required: true}
  rules: {description: Services that each zone may reach., type: dict, required: true}
  ports: {description: Ports by name as in _common/ports.yml., type: dict, required: true}
  trusted: {description: Interfaces of pods and containers., type: list, elements: str, default: []}
  node_ports:
    description: Ports at which Kubernetes leads what comes from outside to pods; its others are shut.
    type: list
    elements: raw
    default: []
  forward: {description: Pairs of zones between which packets pass., type: list, elements: dict, default: []}
  log_per_minute: {description: Dropped packets that are logged., type: int, default: 10}
  rollback_seconds: {description: When an unconfirmed change is taken back., type: int, default: 60}
  config_path: {description: Folder of the rules., type: path, required: true}
  state_path: {description: Folder for what must be remembered on the host., type: path, required: true}
  transaction: {description: Set by the action plugin., type: str, default: ""}
"""

EXAMPLES = r"""
- name: Load the firewall
  firewall:
    zones: {management: [mgmt0], business: [business]}
    rules: {management: [ssh], business: [https]}
    ports: {port_ssh: 22, port_https: 443}
    config_path: /etc/bedplate
    state_path: /var/lib/bedplate
"""

RETURN = r"""
table: {description: The rules as nft lists them., type: str, returned: always}
kept_open:
  description: Rule for the controller's connection that no service of the inventory admits, empty otherwise.
  type: str
  returned: always
"""

import json
import shutil
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.firewall import PRIORITY, TABLE, Session, policy, ruleset
from ansible.module_utils.safe_change import ending, scripts, session
from ansible.module_utils.safe_change.programs import runner
from ansible.module_utils.safe_change.transaction import Transaction
from ansible.module_utils.vlan_network import observe

SPEC = {
    "state": {"type": "str", "choices": ["present", "confirmed"], "default": "present"},
    "zones": {"type": "dict", "required": True},
    "rules": {"type": "dict", "required": True},
    "ports": {"type": "dict", "required": True},
    "trusted": {"type": "list", "elements": "str", "default": []},
    "node_ports": {"type": "list", "elements": "raw", "default": []},
    "forward": {"type": "list", "elements": "dict", "default": []},
    "log_per_minute": {"type": "int", "default": 10},
    "rollback_seconds": {"type": "int", "default": 60},
    "config_path": {"type": "path", "required": True},
    "state_path": {"type": "path", "required": True},
    "transaction": {"type": "str", "default": ""},
}
NAME = "firewall"
UNIT = "bedplate-firewall.service"
UNIT_PATH = Path("/etc/systemd/system") / UNIT
WANTED_BY = Path("/etc/systemd/system/sysinit.target.wants") / UNIT
UNIT_TEXT = """# Written by Bedplate (role firewall).
[Unit]
Description=Packet filter of Bedplate (table {table})
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target shutdown.target
After=local-fs.target nftables.service
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={nft} -f {rules}
ExecReload={nft} -f {rules}

[Install]
WantedBy=sysinit.target
"""
# nftables.service empties everything when it starts, reloads or stops; ours is then loaded again at once.
BESIDE_PATH = Path("/etc/systemd/system/nftables.service.d/bedplate.conf")
BESIDE_TEXT = """# Written by Bedplate (role firewall).
[Service]
ExecStartPost={nft} -f {rules}
ExecReload={nft} -f {rules}
ExecStopPost={nft} -f {rules}
"""


class Firewall:
    """One call of the module."""

    def __init__(self, module):
        self.module = module
        self.arguments = module.params
        self.run = runner(module)
        self.transaction = Transaction(self.run, self.arguments["state_path"], NAME)
        found = shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin")
        self.installed = found is not None
        self.nft = found or "/usr/sbin/nft"
        if not self.installed and not module.check_mode:
            module.fail_json(msg="nft is not installed: install package nftables")
        self.rules = Path(self.arguments["config_path"]) / "firewall.nft"
        self.session = self._session()
        words = ("trusted", "node_ports", "forward", "log_per_minute")
        self.policy = policy(
            self.arguments["zones"],
            self.arguments["rules"],
            self.arguments["ports"],
            session=self.session,
            **{word: self.arguments[word] for word in words},
        )

    def loaded(self):
        """The table as the kernel has it; empty when it has none."""
        code, out, _ = self.run([self.nft, "-s", "list", "table", *TABLE.split()])
        return out if code == 0 else ""

    def expected(self, text):
        """The table as nft lists it once ``text`` is loaded, found out where it does no harm. In check mode
        nft may not be there yet: then it is the text.
        """
        if not self.installed:
            return text
        code, _, err = self.run([self.nft, "-c", "-f", "-"], data=text)
        if code != 0:
            self.module.fail_json(msg=f"nft does not take the rules, nothing was changed: {err.strip()}")
        script = f"{self.nft} -f - && {self.nft} -s list table {TABLE}"
        code, out, err = self.run(["unshare", "--net", "sh", "-c", script], data=text)
        if code != 0:
            self.module.fail_json(msg=f"the rules cannot be tried in a network namespace: {err.strip()}")
        return out

    def _session(self):
        code, out, _ = self.run(["ip", "-d", "-j", "address", "show"])
        words = session.ssh_connection()
        way = observe.way_in(words, observe.devices(json.loads(out))) if code == 0 else None
        return Session(way.interface, way.client, int(words.split()[3])) if way else None


def present(firewall):
    """Load the table if it is not loaded as it should be."""
    module, wanted = firewall.module, firewall.policy
    if wanted.wrong:
        module.fail_json(msg="The firewall is left as it is:\n" + "\n".join(f"- {w}" for w in wanted.wrong))
    if not module.check_mode:
        ending.end_earlier(firewall.transaction)
    text = ruleset(wanted)
    expected, loaded = firewall.expected(text), firewall.loaded()
    words = {"table": TABLE, "nft": firewall.nft, "rules": firewall.rules}
    files = [_file(firewall.rules, text, "0600")]
    for path, content in ((UNIT_PATH, UNIT_TEXT), (BESIDE_PATH, BESIDE_TEXT)):
        files.append(_file(path, content.format(**words), "0644"))
    files = [file for file in files if file.before != file.after]
    kept = f"{wanted.session.client} on {wanted.session.interface}" if wanted.session else ""
    if kept:
        module.warn(f"no rule lets the controller ({kept}) in, so one was added: extend firewall_rules")
    result = {"changed": bool(files) or loaded != expected or not WANTED_BY.is_symlink()}
    result |= {"table": expected, "kept_open": kept, "diff": _diff(files, loaded, expected)}
    if module.check_mode:
        module.exit_json(**result)
    _write_result(firewall, expected)
    if not result["changed"]:
        module.exit_json(**result)
    _apply(firewall, files, loaded, result)


def _apply(firewall, files, loaded, result):
    """Arm, load, and leave it to a new connection of the controller to confirm; without SSH there is none to
    lose.
    """
    module, seconds = firewall.module, firewall.arguments["rollback_seconds"]
    tried = f"load table {TABLE}"
    said = {"id": firewall.arguments["transaction"], "tried": tried}
    firewall.transaction.arm(_change(firewall, files, bool(loaded)), said, seconds)
    failed = firewall.transaction.apply()
    if failed:
        module.fail_json(
            msg=f"Tried: {tried}. The step `{failed}` failed, and everything is as it was before."
        )
    if firewall.session is None:
        firewall.transaction.confirm()
        module.exit_json(**result)
    folder = str(firewall.transaction.folder)
    module.exit_json(armed=True, tried=tried, rollback_after=seconds, folder=folder, **result)


def confirmed(firewall):
    """End an armed change, or say how it ended."""
    ending.tell(firewall.module, firewall.transaction)


def _change(firewall, files, had_table):
    """What is loaded, and how to go back: to the rules of before, or to none."""
    nft, rules = firewall.nft, str(firewall.rules)
    enable = ("systemctl", "enable", "--quiet", UNIT)
    start = ("systemctl", "start", UNIT)
    steps = [scripts.Step("load the rules", ((nft, "-f", rules),))]
    steps.append(scripts.Step("load them at every boot", (("systemctl", "daemon-reload"), enable, start)))
    if had_table and firewall.rules.exists():
        undo = [scripts.Step("load the rules of before", ((nft, "-f", rules),))]
    else:
        undo = [scripts.Step("remove the table", ((nft, "delete", "table", *TABLE.split()),))]
    if not WANTED_BY.is_symlink():
        undo.append(scripts.Step("do not load rules at boot", (("rm", "-f", str(WANTED_BY)),), boot=True))
    return scripts.Change(NAME, tuple(files), tuple(steps), tuple(undo))


def _file(path, text, mode):
    before = path.read_text() if path.exists() else None
    return scripts.File(str(path), before, text, mode, mode)


def _diff(files, loaded, expected):
    shown = [
        {
            "before": f.before or "",
            "after": f.after,
            "before_header": f.path,
            "after_header": f"{f.path} (mode {f.mode})",
        }
        for f in files
    ]
    if loaded == expected:
        return shown
    header = f"table {TABLE} (loaded, priority {PRIORITY})"
    return [*shown, {"before": loaded, "after": expected, "before_header": header, "after_header": header}]


def _write_result(firewall, table):
    folder = Path(firewall.arguments["state_path"]) / "results"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = firewall.policy
    services = {zone: [s.__dict__ for s in wanted.services.get(zone, ())] for zone in wanted.zones}
    result = {"zones": wanted.zones, "services": services, "trusted": wanted.trusted, "table": table}
    (folder / f"{NAME}.json").write_text(json.dumps(result, indent=1))


def main():
    """Do what is asked."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        {"present": present, "confirmed": confirmed}[module.params["state"]](Firewall(module))
    except OSError as error:
        module.fail_json(msg=f"The firewall is left as it is: {error}")


if __name__ == "__main__":
    main()
