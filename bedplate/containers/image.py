"""The container image: Debian or Ubuntu as this machine has it, made by mmdebstrap from this machine's own
package sources, cached by content. Nothing is pulled from a registry of images.

Packages that roles install are not in the image but offered by a repository inside it, so that a role really
installs them, and does so without a network.
"""

import hashlib
import re
import subprocess
from pathlib import Path

from bedplate import paths
from bedplate.console import progress
from bedplate.errors import BedplateError
from bedplate.locks import only_one

INSTALLED = (
    "ca-certificates",
    "dbus",
    "iproute2",
    "kmod",
    "openssh-server",
    "procps",
    "python3",
    "python3-apt",
    "sudo",
    "systemd",
    "systemd-sysv",
)
OFFERED = (
    "auditd",
    "chrony",
    "conntrack",
    "containernetworking-plugins",
    "ethtool",
    "haproxy",
    "ibverbs-utils",
    "infiniband-diags",
    "keepalived",
    "libnginx-mod-http-js",
    "logrotate",
    "lynis",
    "nftables",
    "nginx",
    "perftest",
    "postgresql",
    "rclone",
    "rdma-core",
    "restic",
    "rsyslog",
    "rsyslog-relp",
    "runc",
    "smartmontools",
    "socat",
    "unattended-upgrades",
)
NOT_NEEDED = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")
PLACES = (Path("/etc/apt/sources.list"), Path("/etc/apt/sources.list.d"))

# Runs in the new file system: keeps the offered packages with an index, which becomes the only source; takes
# promtool, which judges metrics, out of a package of which nothing else is needed.
OFFER = r"""
set -e
mkdir -p /srv/packages && cd /srv/packages
apt-get clean
apt-get install --yes --download-only --no-install-recommends OFFERED
mv /var/cache/apt/archives/*.deb .
for file in *.deb; do
  dpkg-deb --field "$file"
  sum=$(sha256sum "$file" | cut -d' ' -f1)
  printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$file" "$(stat -c %s "$file")" "$sum"
done > Packages
cd /tmp && apt-get download prometheus
dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x -O ./usr/bin/promtool > /usr/local/bin/promtool
chmod 0755 /usr/local/bin/promtool
rm prometheus_*.deb
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* /var/lib/apt/lists/*
echo 'deb [trusted=yes] file:/srv/packages ./' > /etc/apt/sources.list
apt-get update
: > /etc/machine-id
rm -f /var/lib/dbus/machine-id
systemctl mask systemd-udevd.service systemd-modules-load.service getty.target console-getty.service
"""


def image() -> str:
    """Name of the image in podman's storage, built when this content was not built before.

    Raises BedplateError when mmdebstrap or podman fail.
    """
    sources = sources_of(release(Path("/etc/os-release").read_text()), _configured())
    name = f"localhost/bedplate:{key(sources)}"
    if _quiet(["podman", "image", "exists", name]):
        return name
    archive = paths.cache("images") / f"container-{key(sources)}.tar"
    with only_one(archive.with_suffix(".lock")):
        if not archive.exists():
            _build(sources, archive)
    with progress("Giving the image to podman"):
        _run(["podman", "import", "--quiet", str(archive), name])
    return name


def release(os_release: str) -> str:
    """Code name of the release in the text of ``/etc/os-release``."""
    found = re.search(r'^VERSION_CODENAME="?([a-z]+)', os_release, re.MULTILINE)
    if not found:
        raise BedplateError(
            "this machine's release has no code name in /etc/os-release",
            remedy="run container scenarios on Debian or Ubuntu",
        )
    return found[1]


def sources_of(codename: str, texts: list[str]) -> list[str]:
    """Pure: package sources of the distribution itself among ``texts`` (contents of the files in /etc/apt).

    A source belongs to the distribution when it offers component ``main`` of suites named after the release.
    Both forms are understood; what comes back are one-line entries and deb822 stanzas as they were written.
    """
    found = []
    for text in texts:
        kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
        for stanza in re.split(r"\n\s*\n", kept.strip()):
            fields = dict(re.findall(r"^(\w[\w-]*):\s*(.*)$", stanza, re.MULTILINE))
            if "Suites" in fields:
                if _is_own(codename, fields["Suites"].split(), fields.get("Components", "").split()):
                    found.append(stanza.strip() + "\n")
                continue
            for line in stanza.splitlines():
                entry = re.match(r"deb\s+(?:\[.*?\]\s+)?(\S+)\s+(\S+)\s+(.+)", line.strip())
                if entry and _is_own(codename, [entry[2]], entry[3].split()):
                    found.append(line.strip() + "\n")
    if not found:
        raise BedplateError(
            f"no package source of {codename} is configured in /etc/apt",
            remedy="configure the distribution's package source, or a mirror of it",
        )
    return found


def key(sources: list[str]) -> str:
    """Sixteen hexadecimal digits that change when what goes into the image changes."""
    content = repr((sources, INSTALLED, OFFERED, NOT_NEEDED, OFFER))
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _is_own(codename: str, suites: list[str], components: list[str]) -> bool:
    return "main" in components and all(re.match(rf"{codename}(-|$)", suite) for suite in suites)


def _configured() -> list[str]:
    files = [PLACES[0], *sorted(PLACES[1].glob("*.list")), *sorted(PLACES[1].glob("*.sources"))]
    return [file.read_text() for file in files if file.is_file()]


def _build(sources: list[str], archive: Path) -> None:
    partial = archive.with_suffix(".partial.tar")
    offer = OFFER.replace("OFFERED", " ".join(OFFERED))
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(INSTALLED)}"]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in NOT_NEEDED]
    command += [
        "--skip=cleanup/apt/lists",
        f"--customize-hook=chroot \"$1\" sh -c '{offer.replace(chr(39), _QUOTE)}'",
    ]
    inputs = []
    for number, source in enumerate(sources):
        suffix = "sources" if source.startswith(("Types:", "URIs:", "Suites:")) else "list"
        file = archive.with_name(f"{archive.stem}.{number}.{suffix}")
        file.write_text(source)
        inputs.append(file)
    try:
        with progress(
            "Making the container image from this machine's package sources (about a minute, once)"
        ):
            suite = release(Path("/etc/os-release").read_text())
            _run([*command, suite, str(partial), *map(str, inputs)])
        partial.rename(archive)
    finally:
        for file in (*inputs, partial):
            file.unlink(missing_ok=True)


_QUOTE = "'\\''"  # a single quote within single quotes of a shell


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise BedplateError(
            f"{command[0]} failed: " + "\n".join(lines[-12:]),
            remedy="see the message; `make setup` installs what is needed",
        )


def _quiet(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        raise BedplateError(f"{command[0]} is not installed", remedy="run `make setup`") from None
