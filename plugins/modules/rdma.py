#!/usr/bin/python
"""RDMA ports: observes them, plans, sets what differs, and writes the program that does it at every boot."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rdma
short_description: RDMA ports as wished
description:
  - Sets quality of service of RoCE ports (DSCP, priority flow control, ECN, version and traffic class), and
    makes soft-RoCE devices. No card keeps these settings, so a program that sets them anew is written for
    every boot.
  - Refuses what cannot work by name (soft-RoCE on a VLAN, an interface that is not there), and then changes
    nothing.
options:
  ports: {description: "Interface to its kind, C(roce) or C(infiniband)", type: dict, default: {}}
  soft:
    description: soft-RoCE devices.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Name of the device, type: str, required: true}
      nic: {description: Interface below it, type: str, required: true}
  roce:
    description: Quality of service.
    type: dict
    suboptions:
      dscp: {description: Code point of the traffic, type: int, default: 26}
      priority: {description: Its priority, type: int, default: 3}
      cnp_dscp: {description: Code point of congestion notifications, type: int, default: 48}
      cnp_priority: {description: Their priority, type: int, default: 6}
      pfc: {description: Priority flow control, type: bool, default: true}
      ecn: {description: Congestion control by ECN, type: bool, default: true}
  program: {description: Where the program for every boot goes, type: path, required: true}
author: [Bedplate]
"""

EXAMPLES = r"""
- name: Set the RDMA ports
  rdma:
    ports: {data0: roce, data1: roce}
    roce: {dscp: 26, priority: 3}
    program: /usr/local/lib/bedplate/rdma_ports
"""

RETURN = r"""
plan: {description: One line for each setting (to be) changed, type: list, returned: always}
inactive: {description: Wished ports that have no active RDMA device, type: list, returned: success}
devices: {description: "RDMA devices: device, netdev, active, gid", type: list, returned: success}
dmabuf: {description: Whether GPUs can be read without a module of their own, type: bool, returned: success}
"""

import os
import re
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rdma import gids, parse
from ansible.module_utils.rdma.model import Host, Roce, Soft, Wish
from ansible.module_utils.rdma.plan import ROCE_V2, inactive, plan, program

NET, VERBS, CONFIG = Path("/sys/class/net"), Path("/sys/class/infiniband"), Path("/sys/kernel/config/rdma_cm")
DMABUF_SINCE = (5, 12)
SOFT = {"name": {"type": "str", "required": True}, "nic": {"type": "str", "required": True}}
ROCE = {
    "dscp": {"type": "int", "default": Roce.dscp},
    "priority": {"type": "int", "default": Roce.priority},
    "cnp_dscp": {"type": "int", "default": Roce.cnp_dscp},
    "cnp_priority": {"type": "int", "default": Roce.cnp_priority},
    "pfc": {"type": "bool", "default": True},
    "ecn": {"type": "bool", "default": True},
}
ARGUMENTS = {
    "ports": {"type": "dict", "default": {}},
    "soft": {"type": "list", "elements": "dict", "default": [], "options": SOFT},
    "roce": {"type": "dict", "options": ROCE},
    "program": {"type": "path", "required": True},
}


class Ports:
    """The host's RDMA ports."""

    def __init__(self, module, wish):
        self.module, self.wish = module, wish

    def say(self, *command):
        """What a tool says; nothing where it fails or is not there (yet)."""
        if not self.module.get_bin_path(command[0]):
            return ""
        code, out, _ = self.module.run_command(list(command))
        return out if code == 0 else ""

    def observe(self):
        """The host as it is."""
        found = parse.links(self.say("rdma", "link", "show"))
        devices = {link.netdev: link.device for link in found}
        kinds = parse.kinds(self.say("ip", "-d", "-o", "link"))
        return Host(found, kinds, {nic: self.settings(nic, devices.get(nic)) for nic in self.wish.ports})

    def settings(self, nic, device):
        """Quality of service of one port."""
        roce = self.wish.roce
        have = {
            "dscp-prio": parse.dscp(self.say("dcb", "app", "show", "dev", nic, "dscp-prio"), roce.dscp),
            "prio-pfc": parse.pfc(self.say("dcb", "pfc", "show", "dev", nic, "prio-pfc"), roce.priority),
            "pause": parse.pause(self.say("ethtool", "-a", nic)),
        }
        for file in (NET / nic / "ecn").glob("roce_[nr]p/*"):
            if file.is_file():
                have[f"{file.parent.name}/{file.name}"] = read(file)
            else:
                have.update({f"{file.parent.name}/enable/{one.name}": read(one) for one in file.iterdir()})
        if device and CONFIG.is_dir():  # a device has its folder there from its first setting on
            for name in ("default_roce_mode", "default_roce_tos"):
                have[name] = read(CONFIG / device / "ports" / "1" / name)
        return have

    def devices(self, host):
        """Devices with the entry of the GID table that programs have to use."""
        return [
            {"device": link.device, "netdev": link.netdev, "active": link.active, "gid": self.gid(link)}
            for link in host.links
        ]

    def gid(self, link):
        """Index of the IPv4 entry of RoCE v2."""
        port = VERBS / link.device / "ports" / "1"
        table = []
        for file in sorted((port / "gids").glob("*"), key=lambda one: int(one.name)):
            kind = read(port / "gid_attrs" / "types" / file.name)
            if kind:
                netdev = read(port / "gid_attrs" / "ndevs" / file.name)
                table.append(
                    gids.Gid(int(file.name), read(file), kind.replace(ROCE_V2.upper(), ROCE_V2), netdev)
                )
        return gids.choose(table, link.netdev)


def read(file):
    """A file of sysfs; nothing where there is none."""
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def write(file, text):
    """Put the program in place, whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.part")
    part.write_text(text)
    part.chmod(0o755)
    part.replace(file)


def dmabuf():
    """Whether the kernel lets cards read other devices' memory by dma-buf, and the GPU driver is the open
    one."""
    kernel = tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2])
    return kernel >= DMABUF_SINCE and "Dual MIT/GPL" in read(Path("/sys/module/nvidia/license"))


def main():
    """Observe, plan, apply, observe again."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    soft = tuple(Soft(**one) for one in params["soft"])
    wish = Wish(dict(params["ports"]), soft, Roce(**(params["roce"] or {})))
    ports, file = Ports(module, wish), Path(params["program"])
    host = ports.observe()
    steps, refusals = plan(wish, host)
    if refusals:
        module.fail_json(msg="Nothing was changed. " + "; ".join(refusals), plan=[])
    text = program(wish, host)
    lines = [step.line for step in steps]
    if read(file) + "\n" != text:
        lines.append(f"write {file}")
    if not module.check_mode:
        for step in steps:
            if step.what == "soft-RoCE":
                module.run_command(["modprobe", "rdma_rxe"])
            code, _, err = module.run_command(list(step.command))
            if code != 0:
                module.fail_json(msg=f"{step.line}: {err.strip() or f'exit code {code}'}", plan=lines)
        if lines and lines[-1] == f"write {file}":
            write(file, text)
        host = ports.observe()
    diff = {"prepared": "".join(f"+ {line}\n" for line in lines)} if lines else {}
    bad = [] if module.check_mode else inactive(wish, host)
    module.exit_json(
        changed=bool(lines), plan=lines, diff=diff, inactive=bad, devices=ports.devices(host), dmabuf=dmabuf()
    )


if __name__ == "__main__":
    main()
