"""A change of SSH that would shut the controller out, made over SSH: the host takes it back by itself."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

DROPIN = "/etc/ssh/sshd_config.d/00-bedplate.conf"
EPHEMERAL = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
ROLLBACK = 8  # seconds; the role gives a minute
# A way for ssh into a container that has no network: bytes in and out of its own port 22.
BRIDGE = """
import socket, sys, threading
s = socket.create_connection(("127.0.0.1", 22))
def up():
    while data := sys.stdin.buffer.raw.read(65536): s.sendall(data)
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while data := s.recv(65536): sys.stdout.buffer.raw.write(data)
"""


@pytest.fixture(scope="module")
def ada(host):
    """The controller's way in: an inventory that reaches the machine as ada, over SSH."""
    bridge = EPHEMERAL / "bridge.py"
    bridge.write_text(BRIDGE)
    name = host.backend.name
    host.check_output("mkdir -p /run/try")
    subprocess.run(["podman", "cp", bridge, f"{name}:/run/try/bridge.py"], check=True)
    proxy = f"-o ProxyCommand='podman exec -i {name} python3 /run/try/bridge.py'"
    variables = {
        "ansible_connection": "ssh",
        "ansible_host": "127.0.0.1",
        "ansible_user": "ada",
        "ansible_ssh_private_key_file": str(EPHEMERAL / "ada"),
        "ansible_ssh_common_args": f"{proxy} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    file = EPHEMERAL / "over_ssh.json"
    file.write_text(json.dumps({"all": {"hosts": {name: variables}}}))
    return file


def change(ada, content, **more):
    """Run the module as the role does; its answer and the seconds that it took."""
    files = [{"path": DROPIN, "content": content}]
    wanted = {"files": files, "state_path": "/var/lib/bedplate", "rollback_seconds": ROLLBACK, **more}
    command = [Path(sys.executable).with_name("ansible"), "all", "-i", ada, "-b", "-m", "sshd_config"]
    settings = os.environ | {"ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_FORCE_COLOR": "0"}
    begin = time.monotonic()
    done = subprocess.run(
        [*command, "-a", json.dumps(wanted)], capture_output=True, text=True, check=False, env=settings
    )
    answer = json.JSONDecoder().raw_decode(done.stdout.partition("=> ")[2] or "{}")[0]
    assert answer, done.stdout + done.stderr
    return {**answer, "failed": done.returncode != 0, "seconds": time.monotonic() - begin}


def ping(ada):
    """Can the controller make a new connection?"""
    command = [Path(sys.executable).with_name("ansible"), "all", "-i", ada, "-m", "ping"]
    fresh = os.environ | {"ANSIBLE_SSH_ARGS": "-o ControlMaster=no -o ControlPath=none"}
    return subprocess.run(command, capture_output=True, check=False, env=fresh).returncode == 0


@pytest.fixture
def kept(host, ada):
    """The configuration as the role left it, and that it is there again when the test is over."""
    before = host.file(DROPIN).content_string
    assert ping(ada)
    yield before
    assert host.file(DROPIN).content_string == before
    assert ping(ada)


def test_who_would_be_shut_out_is_let_in_again(host, ada, kept):
    answer = change(
        ada, kept.replace("AllowGroups ssh-users", "AllowGroups nobody-at-all"), who="base_ssh_groups"
    )
    assert answer["failed"]
    assert "It was taken back: the controller could not come back" in answer["msg"]
    assert "base_ssh_groups" in answer["msg"]
    assert answer["rolled_back_by"] == "timer"
    assert answer["rollback_seconds"] < ROLLBACK + 30


def test_what_sshd_does_not_take_is_never_written(host, ada, kept):
    before = host.check_output(f"stat -c %Y {DROPIN}")
    answer = change(ada, kept + "AllowGruops ssh-users\n")
    assert answer["failed"]
    assert "nothing was changed" in answer["msg"]
    assert "AllowGruops" in answer["msg"]
    assert host.check_output(f"stat -c %Y {DROPIN}") == before


def test_a_dropin_that_nothing_reads_is_refused(host, ada, kept):
    host.check_output("sed -i.kept 's/^Include/#Include/' /etc/ssh/sshd_config")
    try:
        answer = change(ada, kept + "# changed\n")
        assert answer["failed"]
        assert "Include" in answer["msg"]
    finally:
        host.check_output("mv /etc/ssh/sshd_config.kept /etc/ssh/sshd_config")


def test_a_change_that_lets_the_controller_in_stays(host, ada):
    before = host.file(DROPIN).content_string
    for content in (before.replace("MaxAuthTries 4", "MaxAuthTries 5"), before):
        answer = change(ada, content)
        assert not answer["failed"], answer.get("msg")
        assert answer["outcome"] == "confirmed"
        assert host.file(DROPIN).content_string == content
        time.sleep(1)  # nothing is taken back later
    time.sleep(ROLLBACK)
    assert host.file(DROPIN).content_string == before


def test_the_host_goes_back_when_the_controller_has_died(host, ada, kept):
    """The module alone, without the controller's half: the controller died right after the change."""
    wrong = kept.replace("AllowGroups ssh-users", "AllowGroups nobody-at-all")
    files = [{"path": DROPIN, "content": wrong}]
    wanted = {"files": files, "state_path": "/var/lib/bedplate", "rollback_seconds": ROLLBACK}
    command = [Path(sys.executable).with_name("ansible"), "all", "-i", ada, "-b", "-m", "sshd_config"]
    process = subprocess.Popen([*command, "-a", json.dumps(wanted)], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while host.file(DROPIN).content_string != wrong and time.monotonic() < deadline:
        time.sleep(0.2)
    process.kill()
    process.wait()
    assert host.file(DROPIN).content_string == wrong
    while host.file(DROPIN).content_string == wrong and time.monotonic() < deadline:
        time.sleep(0.5)
