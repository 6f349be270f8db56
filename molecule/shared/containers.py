"""Containers within the machine under test, run by its containerd."""

from pathlib import Path

IMAGE = "docker.io/library/stand-in:1"
PROGRAMS = ("/bin/sh", "/bin/ls", "/bin/cat", "/usr/bin/stat", "/usr/bin/env")


def load(host):
    """An image of the machine's own programs."""
    script = (Path(__file__).parent / "files" / "make_image.py").read_text()
    quoted = script.replace("'", "'\\''")
    host.check_output(f"python3 -c '{quoted}' {IMAGE} {' '.join(PROGRAMS)}")


def run(host, command, *options):
    """A container that runs ``command``; the result."""
    words = " ".join(options)
    return host.run(f"ctr run --rm --net-host {words} {IMAGE} test-$$ /bin/sh -c '{command}'")
