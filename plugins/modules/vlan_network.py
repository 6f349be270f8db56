#!/usr/bin/python
"""Brings bonds, VLANs, addresses, routes and MTU of a host to what the inventory says, without losing the
host.
"""

DOCUMENTATION = r"""
module: vlan_network
short_description: Configure bonds, VLANs, addresses, routes and MTU from the inventory
description:
  - Observes the host, plans with a pure function, prints the plan in check mode and applies it otherwise.
  - A change that may cut the controller off is armed first. The host takes it back after O(rollback_seconds),
    or when it boots, unless a new connection of the controller confirms it; the action plugin of the same
    name makes that connection.
  - Any other change is applied at once, and taken back at once when a gateway or peer that answered before
    stops answering.
  - Devices that the inventory does not name are never touched.
author: [Bedplate]
options:
  state:
    description: >-
      C(present) configures; C(confirmed) ends an armed change; C(verified) asks gateways and peers and writes
      the result.
    type: str
    choices: [present, confirmed, verified]
    default: present
  backend: {description: Whose files to write., type: str, choices: [auto, networkd, netplan], default: auto}
  nics: {description: hardware_nics of the host., type: list, elements: dict, required: true}
  networks: {description: site_networks., type: list, elements: dict, required: true}
  links: {description: Which NICs carry which networks., type: list, elements: dict, required: true}
  addresses: {description: Address of the host on each network., type: dict, default: {}}
  routes: {description: Static routes., type: list, elements: dict, default: []}
  dns: {description: Addresses of name servers., type: list, elements: str, default: []}
  peers: {description: Addresses of other hosts by network., type: dict, default: {}}
  keep_peers:
    description: A peer that answered before a change must answer after it.
    type: bool
    default: true
  lacp_partner:
    description: A bond of mode 802.3ad needs an answering switch.
    type: bool
    default: true
  rollback_seconds: {description: When an unconfirmed change is taken back., type: int, default: 60}
  reconnect:
    description: Where the controller finds the host when its way in moves.
    type: str
    default: ""
  state_path: {description: Folder for what must be remembered on the host., type: path, required: true}
  transaction: {description: Set by the action plugin., type: str, default: ""}
"""

EXAMPLES = r"""
- name: Bring the network to what the inventory says
  vlan_network:
    nics: "{{ hardware_nics }}"
    networks: "{{ site_networks }}"
    links: "{{ vlan_network_links }}"
    addresses: "{{ vlan_network_addresses }}"
    state_path: "{{ path_state }}"
"""

RETURN = r"""
actions: {description: What is done to devices., type: list, elements: str, returned: state is present}
refusals:
  description: Everything that keeps the host from being configured.
  type: list
  elements: dict
  returned: on failure
outcome: {description: How an armed change ended., type: str, returned: when a change was armed}
rollback_seconds:
  description: Seconds until the old configuration was back.
  type: float
  returned: when taken back
"""

import json
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.safe_change import ending, scripts, session
from ansible.module_utils.safe_change.programs import runner
from ansible.module_utils.safe_change.transaction import Transaction
from ansible.module_utils.vlan_network import host, observe, probe
from ansible.module_utils.vlan_network.model import BOND
from ansible.module_utils.vlan_network.plan import plan
from ansible.module_utils.vlan_network.wish import wish

SPEC = {
    "state": {"type": "str", "choices": ["present", "confirmed", "verified"], "default": "present"},
    "backend": {"type": "str", "choices": ["auto", "networkd", "netplan"], "default": "auto"},
    "nics": {"type": "list", "elements": "dict", "required": True},
    "networks": {"type": "list", "elements": "dict", "required": True},
    "links": {"type": "list", "elements": "dict", "required": True},
    "addresses": {"type": "dict", "default": {}},
    "routes": {"type": "list", "elements": "dict", "default": []},
    "dns": {"type": "list", "elements": "str", "default": []},
    "peers": {"type": "dict", "default": {}},
    "keep_peers": {"type": "bool", "default": True},
    "lacp_partner": {"type": "bool", "default": True},
    "rollback_seconds": {"type": "int", "default": 60},
    "reconnect": {"type": "str", "default": ""},
    "state_path": {"type": "path", "required": True},
    "transaction": {"type": "str", "default": ""},
}
NAME = "vlan_network"
SETTLE_SHARE = 3  # a third of the time until rollback may pass until devices are as planned
VERIFY_SECONDS = 10
NAMED = 2  # files that a message names


class Network:
    """One call of the module: what is asked for, and the ways to look at the host."""

    def __init__(self, module):
        self.module = module
        self.arguments = module.params
        self.run = runner(module)
        self.transaction = Transaction(self.run, self.arguments["state_path"], NAME)
        self.backend = host.backend(self.arguments["backend"])
        words = ("nics", "networks", "links", "addresses", "routes", "dns")
        self.desired, self.wrong = wish(self.backend, **{word: self.arguments[word] for word in words})

    def look(self):
        """The host as it is."""
        return host.look(self.run, self.backend, session.ssh_connection())

    def plan(self, observed):
        """What to do."""
        return plan(self.desired, observed, self.arguments["reconnect"])

    def targets(self):
        """Gateways and peers of the networks of this host."""
        return probe.targets(self.desired, self.arguments["peers"])

    def settle(self, must_answer):
        """Wait until the host is as planned and whoever must answer does; empty, or why it is not."""
        end = time.monotonic() + self.arguments["rollback_seconds"] / SETTLE_SHARE
        silent, left = set(must_answer), None
        while True:
            left = self.plan(self.look())
            silent -= probe.answering(self.run, silent, probe.ROUND_SECONDS)
            if left.empty and not silent:
                return ""
            if time.monotonic() > end:
                break
            time.sleep(1)
        if silent:
            names = ", ".join(sorted(f"{t.role} {t.address} on {t.device}" for t in silent))
            return f"{names} answered before or must answer now, and did not"
        said = [str(r) for r in left.refusals] + [a.says for a in left.actions]
        return f"the host did not become as planned; left to do: {'; '.join(said)}"


def present(network):
    """Configure the host."""
    if not network.module.check_mode:
        ending.end_earlier(network.transaction)
    observed = network.look()
    todo = network.plan(observed)
    refused = [*network.wrong, *todo.refusals]
    if refused:
        network.module.fail_json(
            msg="The network is left as it is:\n" + "\n".join(f"- {r}" for r in refused),
            refusals=[{"what": r.what, "why": r.why, "remedy": r.remedy} for r in refused],
        )
    result = {"changed": not todo.empty, "actions": [a.says for a in todo.actions], "cuts": todo.cuts}
    result["diff"] = _diff(todo)
    if todo.empty or network.module.check_mode:
        network.module.exit_json(**result)
    _apply(network, observed, todo, result)


def _apply(network, observed, todo, result):
    """Arm, apply; detached where the controller may be cut off, else here with the same way back."""
    must = _must_answer(network, observed, todo)
    tried = "; ".join([*_counted(todo.writes), *result["actions"]])
    seconds = network.arguments["rollback_seconds"]
    said = {"id": network.arguments["transaction"], "must_answer": [t.__dict__ for t in must], "tried": tried}
    network.transaction.arm(_change(todo), said, seconds)
    if todo.cuts:
        network.transaction.apply_later()
        network.module.exit_json(
            armed=True,
            tried=tried,
            rollback_after=seconds,
            folder=str(network.transaction.folder),
            reconnect=network.arguments["reconnect"],
            **result,
        )
    failed = network.transaction.apply()
    reason = f"the step `{failed}` failed" if failed else network.settle(must)
    if not reason and network.transaction.confirm():
        network.module.exit_json(**result)
    network.transaction.restore()
    seconds = network.transaction.outcome().get("seconds")
    network.module.fail_json(
        msg=f"Tried: {tried}. It was taken back: {reason or 'it was not confirmed in time'}. "
        f"The old configuration is back after {seconds} s: {_summary(network.look())}.",
        outcome="restored",
        rollback_seconds=seconds,
    )


def confirmed(network):
    """End an armed change, or say how it ended."""
    transaction = network.transaction
    said = transaction.pending()
    if said is None or said["id"] != network.arguments["transaction"]:
        ended = transaction.outcome()
        if ended.get("id") != network.arguments["transaction"]:
            network.module.fail_json(msg=ending.UNKNOWN)
        network.module.exit_json(now=_summary(network.look()), **ended)
    began, applied = session.began(), transaction.applied()
    if applied is None:
        network.module.exit_json(outcome="applying")
    if began is not None and began < applied:
        network.module.exit_json(outcome="stale")
    reason = network.settle([probe.Target(**target) for target in said["must_answer"]])
    if reason:
        transaction.restore_later()
        network.module.exit_json(outcome="unsettled", reason=reason)
    outcome = "confirmed" if transaction.confirm() else "applying"
    network.module.exit_json(outcome=outcome)


def verified(network):
    """Ask gateways and peers, look at links and bonds, write the result; fails on what does not work."""
    targets = network.targets()
    answering = probe.answering(network.run, targets, VERIFY_SECONDS)
    observed = network.look()
    faults = [
        f"{t.role} {t.address} does not answer on {t.device}"
        for t in targets
        if t.role == "gateway" and t not in answering
    ]
    bonds = {d.name: host.bonding(d.name) for d in network.desired.devices if d.kind == BOND}
    faults += observe.link_faults(network.desired, observed) + observe.bond_faults(
        bonds, network.arguments["lacp_partner"]
    )
    reach = [
        {
            "address": t.address,
            "device": t.device,
            "role": t.role,
            "answers": t in answering,
            "full_frames": t in answering and t.role == "peer" and probe.full_frames(network.run, t),
        }
        for t in targets
    ]
    for entry in (r for r in reach if r["role"] == "peer" and not (r["answers"] and r["full_frames"])):
        what = "packets of the full MTU are lost" if entry["answers"] else "no answer"
        network.module.warn(f"peer {entry['address']} on {entry['device']}: {what}")
    devices = [{**d.__dict__, "routes": [r.__dict__ for r in d.routes]} for d in network.desired.devices]
    result = {"backend": network.backend, "devices": devices, "reachable": reach, "faults": faults}
    if not network.module.check_mode:
        _write_result(network.arguments["state_path"], result)
    if faults:
        network.module.fail_json(
            msg="The network does not work:\n" + "\n".join(f"- {fault}" for fault in faults), **result
        )
    network.module.exit_json(changed=False, **result)


def _must_answer(network, observed, todo):
    """Who must answer after the change: whoever answers now, and new gateways of working devices."""
    there = [t for t in network.targets() if t.device in observed.devices]
    must = {
        t
        for t in probe.answering(network.run, there)
        if t.role == "gateway" or network.arguments["keep_peers"]
    }
    routed = {(route.via, route.device) for route in observed.routes}
    for target in there:
        working = observed.devices[target.device].addresses and target.device in todo.touched
        if target.role == "gateway" and working and (target.address, target.device) not in routed:
            must.add(target)
    return sorted(must, key=lambda t: (t.device, t.address))


def _change(todo):
    """The plan in the words of a change that can be taken back."""
    modes = {
        w.path: f"{Path(w.path).stat().st_mode & 0o7777:04o}" for w in todo.writes if w.before is not None
    }
    return scripts.Change(
        name=NAME,
        files=tuple(
            scripts.File(w.path, w.before, w.after, w.mode, modes.get(w.path, w.mode)) for w in todo.writes
        ),
        steps=tuple(scripts.Step(a.says, a.commands, a.boot) for a in todo.actions),
        undo=tuple(scripts.Step(a.says, a.commands, a.boot) for a in todo.undo),
    )


def _counted(writes):
    """Files in a few words; the diff has every line of them."""
    said = []
    for verb, kept in (("write", True), ("remove", False)):
        paths = [w.path for w in writes if (w.after is not None) == kept]
        more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
        said += [f"{verb} {', '.join(paths[:NAMED])}{more}"] if paths else []
    return said


def _diff(todo):
    files = [
        {
            "before": w.before or "",
            "after": w.after or "",
            "before_header": w.path,
            "after_header": f"{w.path} (mode {w.mode})" if w.after else f"{w.path} (removed)",
        }
        for w in todo.writes
    ]
    steps = "".join(f"  {number}. {a.says}\n" for number, a in enumerate(todo.actions, 1))
    notes = f"  armed: {todo.cuts}\n" if todo.cuts else ""
    return [*files, {"prepared": f"then, on the host:\n{steps}{notes}"}] if steps else files


def _summary(observed):
    """Addresses of the host in one line."""
    return ", ".join(f"{d.name} {' '.join(d.addresses)}" for d in observed.devices.values() if d.addresses)


def _write_result(state, result):
    folder = Path(state) / "results"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{NAME}.json").write_text(json.dumps(result, indent=1))


def main():
    """Do what is asked."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    network = Network(module)
    try:
        {"present": present, "confirmed": confirmed, "verified": verified}[module.params["state"]](network)
    except (host.CannotRead, OSError) as error:
        module.fail_json(msg=f"The network is left as it is: {error}")


if __name__ == "__main__":
    main()
