#!/usr/bin/env python3
"""Stand-in for nvidia-smi: answers with the recording of a real H100, with fields changed as they were set.

It shows what is asked of nvidia-smi, and that answers are read as the real XML has them. It does not show a
driver: what this one takes, refuses and forgets was written from NVIDIA's documentation; a real one may do
otherwise. Options that begin with --stand-in are not nvidia-smi's: they play the world around it (a boot, a
process on a GPU).
"""

import copy
import json
import os
import re
import sys
from pathlib import Path
from xml.etree import ElementTree as Xml

HOME = Path(os.environ.get("NVIDIA_SMI_STAND_IN", "/var/lib/nvidia-smi-stand-in"))
FAILED, IN_USE, INVALID = 255, 19, 2
VOLATILE = {"persistence": False, "compute": "Default", "power": None, "clocks": None, "gc": None, "mc": None}
FRESH = {**VOLATILE, "ecc": [True, True], "mig": [False, False], "instances": [], "processes": [], "deaf": []}


class Failure(Exception):
    """What nvidia-smi says and exits with."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


class StandIn:
    """``state`` is one dictionary per GPU (see FRESH), changed in place. ``reset_for_mig``: as on an A100,
    MIG mode waits for a reset; an H100 takes it at once. ``calls`` keeps every call that sets something."""

    def __init__(self, recorded, state, *, reset_for_mig=False):
        self.state, self.reset_for_mig = state, reset_for_mig
        self.head = Xml.fromstring(recorded)
        self.model = self.head.find("gpu")
        self.head.remove(self.model)
        self.calls = []

    def __call__(self, arguments):
        """The output; raises Failure."""
        arguments = list(arguments)
        if arguments == ["-q", "-x"]:
            return self.query()
        if arguments == ["-L"]:
            return self.listing()
        self.calls.append(tuple(arguments))
        if arguments[0].startswith("--stand-in"):
            return self.world(arguments)
        verb = arguments.pop(0) if arguments[0] == "mig" else ""
        gpu = self.gpu(arguments[arguments.index("-i") + 1])
        del arguments[arguments.index("-i") : arguments.index("-i") + 2]
        (self.instances if verb else self.set)(gpu, arguments)
        return ""

    def gpu(self, bus):
        """The state of a GPU by its bus id."""
        for index, gpu in enumerate(self.state):
            if bus == self.bus(index):
                return gpu
        raise Failure(6, "No devices were found")

    def bus(self, index):
        return f"00000000:{index:02X}:06.0"

    def set(self, gpu, arguments):
        """One setting."""
        option, *values = arguments
        if option.strip("-") in gpu["deaf"]:
            return
        value = values[0] if values else ""
        pair = [int(number) for number in value.split(",")] if "," in value else None
        plain = {"-pm": "persistence", "-c": "compute", "-ac": "clocks", "-rac": "clocks"}
        plain |= {f"-{verb}{clock}": clock for verb in "lr" for clock in ("gc", "mc")}
        if option in plain:
            gpu[plain[option]] = {"-pm": value == "1", "-c": value.title()}.get(option, pair)
        elif option == "-pl":
            self.power(gpu, float(value))
        elif option == "-e":
            gpu["ecc"][1] = value == "1"
        elif option == "-mig":
            self.mig(gpu, value == "1")
        elif option == "--gpu-reset":
            self.reset(gpu)
        else:
            raise Failure(INVALID, f"Invalid combination of input arguments: {option}")

    def power(self, gpu, watts):
        low, high = self.limits()
        if not low <= watts <= high:
            limits = f"which should be between {low:.2f} W and {high:.2f} W"
            raise Failure(FAILED, f"Provided power limit {watts:.2f} W is not a valid power limit {limits}")
        gpu["power"] = watts

    def limits(self):
        readings = self.model.find("gpu_power_readings")
        return [float(readings.findtext(f"{name}_power_limit").split()[0]) for name in ("min", "max")]

    def mig(self, gpu, on):
        if gpu["instances"] or gpu["processes"]:
            raise Failure(IN_USE, "Unable to change MIG mode: In use by another client")
        gpu["mig"] = [gpu["mig"][0] if self.reset_for_mig else on, on]

    def reset(self, gpu):
        if gpu["processes"]:
            raise Failure(IN_USE, "GPU could not be reset: In use by another client")
        gpu.update(VOLATILE, instances=[], ecc=[gpu["ecc"][1]] * 2, mig=[gpu["mig"][1]] * 2)

    def instances(self, gpu, arguments):
        """nvidia-smi mig."""
        if not gpu["mig"][0]:
            raise Failure(6, "No MIG-enabled devices found.")
        if arguments[0] in ("-dci", "-dgi"):
            if gpu["processes"]:
                raise Failure(IN_USE, "Unable to destroy: In use by another client")
            if arguments[0] == "-dgi":
                gpu["instances"] = []
            return
        names = arguments[1].split(",")
        slices = [re.fullmatch(r"(\d)g\.\d+gb", name) for name in names]
        if arguments[0] != "-cgi" or arguments[2:] != ["-C"] or not all(slices):
            raise Failure(INVALID, f"Invalid profile: {names}")
        taken = gpu["instances"] + names
        if sum(int(name[0]) for name in taken) > 7:
            raise Failure(IN_USE, "Failed to create GPU instances: Insufficient Resources")
        gpu["instances"] = taken

    def world(self, arguments):
        """A boot (or the driver loaded anew), or a process that comes and goes."""
        for gpu in self.state:
            if arguments[0] == "--stand-in-boot":  # MIG mode outlives a boot on an A100 and not on an H100
                mig = gpu["mig"][1] and self.reset_for_mig
                gpu.update(VOLATILE, instances=[], processes=[], ecc=[gpu["ecc"][1]] * 2, mig=[mig, mig])
            elif arguments[0] == "--stand-in-process":
                gpu["processes"] = [name for name in arguments[1:] if name]
        return ""

    def listing(self):
        lines = []
        for index, gpu in enumerate(self.state):
            lines.append(f"GPU {index}: NVIDIA H100 80GB HBM3 (UUID: GPU-{index:032x})")
            for number, name in enumerate(sorted(gpu["instances"], reverse=True)):
                lines.append(f"  MIG {name:<11} Device {number:>2}: (UUID: MIG-{index:016x}{number:016x})")
        return "\n".join(lines) + "\n"

    def query(self):
        root = copy.deepcopy(self.head)
        for index, gpu in enumerate(self.state):
            node = copy.deepcopy(self.model)
            node.set("id", self.bus(index))
            self.fill(node, gpu)
            root.append(node)
        return Xml.tostring(root, encoding="unicode")

    def fill(self, node, gpu):
        """The recording with what was set."""
        words = {True: "Enabled", False: "Disabled"}
        fields = {"persistence_mode": words[gpu["persistence"]], "compute_mode": gpu["compute"]}
        for name in ("ecc", "mig"):
            fields[f"{name}_mode/current_{name}"], fields[f"{name}_mode/pending_{name}"] = (
                words[on] for on in gpu[name]
            )
        if gpu["power"]:
            for name in ("current", "requested"):
                fields[f"gpu_power_readings/{name}_power_limit"] = f"{gpu['power']:.2f} W"
        if gpu["clocks"]:
            memory, graphics = gpu["clocks"]
            fields["applications_clocks/mem_clock"] = f"{memory} MHz"
            fields["applications_clocks/graphics_clock"] = f"{graphics} MHz"
        for lock, name in (("gc", "clocks/sm_clock"), ("mc", "clocks/mem_clock")):
            if gpu[lock]:
                fields[name] = f"{min(int(node.findtext(name).split()[0]), gpu[lock][1])} MHz"
        for path, text in fields.items():
            node.find(path).text = text
        for number, name in enumerate(gpu["processes"]):
            process = Xml.SubElement(node.find("processes"), "process_info")
            Xml.SubElement(process, "pid").text = str(4000 + number)
            Xml.SubElement(process, "process_name").text = name


def main():
    """Answer from the files in HOME."""
    kept = HOME / "state.json"
    if sys.argv[1:2] == ["--stand-in-make"]:
        kept.write_text(json.dumps([FRESH] * int(sys.argv[2])))
        return 0
    state = json.loads(kept.read_text())
    try:
        sys.stdout.write(StandIn((HOME / "recorded.xml").read_text(), state)(sys.argv[1:]))
    except Failure as failure:
        sys.stdout.write(f"{failure}\n")
        return failure.code
    kept.write_text(json.dumps(state, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
