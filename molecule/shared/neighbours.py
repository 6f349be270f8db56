"""Machines beside the one under test: network namespaces within its container, each at the end of a cable.

They judge a firewall as anyone on that network would: they try to connect.
"""

from contextlib import contextmanager

OPEN, CLOSED, FILTERED = "open", "closed", "filtered"
LISTEN = """
import socket, sys, threading
for port in map(int, sys.argv[1:]):
    server = socket.create_server(("", port))
    threading.Thread(target=lambda s=server: [s.accept() for _ in iter(int, 1)]).start()
"""
TRY = """
import socket, sys
for port in map(int, sys.argv[2:]):
    tried = socket.socket()
    tried.settimeout(3)
    code = tried.connect_ex((sys.argv[1], port))
    print(port, {0: "open", 111: "closed"}.get(code, "filtered"))
"""


@contextmanager
def cables(host, networks):
    """One neighbour for each of ``networks`` (interface: first numbers of its subnet); .1 is the host."""
    for interface, subnet in networks.items():
        host.check_output(f"ip netns add {interface}")
        host.check_output(f"ip link add {interface} type veth peer name eth0 netns {interface}")
        host.check_output(f"ip address add {subnet}.1/24 dev {interface}")
        host.check_output(f"ip link set {interface} up")
        inside = f"ip netns exec {interface} ip"
        host.check_output(f"{inside} address add {subnet}.2/24 dev eth0")
        host.check_output(f"{inside} link set eth0 up && {inside} link set lo up")
        host.check_output(f"{inside} route add default via {subnet}.1")
    try:
        yield
    finally:
        for interface in networks:
            host.run(f"ip link delete {interface}; ip netns delete {interface}")


@contextmanager
def listening(host, ports, where=""):
    """Somebody who answers on TCP ``ports``, on the host or in the namespace ``where``."""
    name = f"listen-{where or 'host'}"
    within = f"ip netns exec {where} " if where else ""
    words = " ".join(map(str, ports))
    host.check_output(f"systemd-run --quiet --collect --unit={name} {within}python3 -c '{LISTEN}' {words}")
    for port in ports:
        heard = f"{within}ss -Hltn sport = :{port} | grep -q ."
        host.check_output(f"for try in $(seq 60); do {heard} && exit 0; sleep 0.5; done; exit 1")
    try:
        yield
    finally:
        host.run(f"systemctl stop {name}")


def scan(host, neighbour, address, ports):
    """What ``neighbour`` sees of TCP ``ports`` at ``address``: open, closed or filtered."""
    words = " ".join(map(str, ports))
    said = host.check_output(f"ip netns exec {neighbour} python3 -c '{TRY}' {address} {words}")
    return {int(line.split()[0]): line.split()[1] for line in said.splitlines()}
