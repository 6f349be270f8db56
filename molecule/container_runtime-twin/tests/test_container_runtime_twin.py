"""What only a machine with a kernel of its own shows."""

from shared import containers


def test_images_are_layers_of_overlayfs(host):
    containers.load(host)
    said = containers.run(host, "cat /proc/mounts")
    assert said.rc == 0, said.stderr
    assert said.stdout.splitlines()[0].split()[:3] == ["overlay", "/", "overlay"]


def test_modules_of_containers_come_at_every_boot(host):
    assert host.file("/etc/modules-load.d/bedplate-containers.conf").content_string.split() == [
        "overlay",
        "br_netfilter",
    ]
    assert host.run("modprobe --dry-run overlay && modprobe --dry-run br_netfilter").rc == 0
