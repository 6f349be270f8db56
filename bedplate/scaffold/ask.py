"""The questions of ``bedplate init``; every one has an answer to start from."""

from collections.abc import Callable, Iterable
from ipaddress import ip_network

from rich.prompt import Confirm, IntPrompt, Prompt

from bedplate.check.words import choose
from bedplate.console import err
from bedplate.scaffold.answers import Answers, Disks, Machines, Net

Ask = Callable[..., str]
_DISK_QUESTIONS = (("nvme", "3.84TB", 4), ("ssd", "1.92TB", 0), ("hdd", "20TB", 0))


def ask(environment: str, models: Iterable[str]) -> Answers:
    """Ask for everything; ``models`` are the GPU models that the catalogue knows."""
    known = sorted(models)
    domain = _text("DNS domain of the machines", f"{environment}.example.internal")
    management = _subnet("Management network (the controller reaches the machines here)", "10.10.0.0/24")
    gateway = _text("Its gateway", str(ip_network(management)[1]))
    time_servers = _text("Time servers, separated by commas", gateway).replace(" ", "").split(",")
    cluster = Net(
        _subnet("Cluster network (traffic between the nodes)", "10.20.0.0/24"), _vlan("Its VLAN id", 20)
    )
    business = Net(
        _subnet("Business network (where clients come from)", "10.30.0.0/24"), _vlan("Its VLAN id", 30)
    )
    control = _number("Machines of the control plane (1, or 3 to survive one failure)", 1)
    gateways = _number("Gateways of their own (0: the control plane does it)", 0)
    machines = {
        "control_plane": Machines(control, 16, "64GiB"),
        "gateways": Machines(gateways, 16, "64GiB"),
        "gpu_nodes": _gpu_nodes(known),
    }
    return Answers(
        environment,
        domain,
        tuple(time_servers),
        Net(management, gateway=gateway),
        cluster,
        business,
        {group: kind for group, kind in machines.items() if kind.count},
    )


def _gpu_nodes(known: list[str]) -> Machines:
    count = _number("GPU nodes", 1)
    model = _text("Model of their GPUs", "h100-sxm5-80gb")
    while model not in known:
        err.print(
            f"{model} is not in inventories/_common/gpus.yml: {choose(model, known)}",
            style="yellow",
            soft_wrap=True,
        )
        model = _text("Model of their GPUs", "h100-sxm5-80gb")
    gpus = _number("GPUs in each", 8)
    cpus = _number("CPU threads in each", 64)
    memory = _text("Memory in each", "512GiB")
    disks = {}
    for kind, size, usual in _DISK_QUESTIONS:
        number = _number(f"Data disks of class {kind} in each (without the boot disk)", usual)
        if number:
            disks[kind] = Disks(number, _text(f"Size of one {kind} disk", size))
    return Machines(count, cpus, memory, _text("Speed of the data NIC", "100Gbit"), model, gpus, disks)


def _text(question: str, default: str) -> str:
    return Prompt.ask(question, default=default, console=err)


def _number(question: str, default: int) -> int:
    return IntPrompt.ask(question, default=default, console=err)


_vlan = _number


def _subnet(question: str, default: str) -> str:
    """Ask until it is a subnet."""
    while True:
        text = _text(question, default)
        try:
            return str(ip_network(text))
        except ValueError as error:
            err.print(f"{error}; write it like {default}", style="yellow", soft_wrap=True)


def confirm(question: str) -> bool:
    """Yes unless told otherwise."""
    return Confirm.ask(question, default=True, console=err)
