"""What we write for netplan, judged by netplan: its generator turns it into what we write for networkd."""

import subprocess
from pathlib import Path

import pytest
from vlan_network.model import NETPLAN
from vlan_network.render import mode, render

from tests.network_samples import ADDRESSES, BONDED, LINKS, NETWORKS, desired

INSTALLED = Path("/usr/libexec/netplan/generate")
PACKAGES = ("netplan.io", "libnetplan0")

CASES = {
    "NICs": {"links": LINKS},
    "a bond": {"links": BONDED},
    "an active-backup bond": {"links": [LINKS[0], {**BONDED[1], "mode": "active-backup"}]},
    "routes and name servers": {
        "routes": [{"to": "10.99.0.0/16", "via": "10.20.0.9"}],
        "dns": ["10.10.0.53"],
    },
    "IPv6": {
        "networks": [NETWORKS[0], {**NETWORKS[1], "subnet": "fd20::/64", "gateway": "fd20::1"}, NETWORKS[2]],
        "addresses": {**ADDRESSES, "cluster": "fd20::11"},
    },
}


@pytest.fixture(scope="session")
def generate(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """netplan's generator: as installed, else unpacked from the packages without installing them."""
    if INSTALLED.exists():
        return [str(INSTALLED)]
    folder = tmp_path_factory.mktemp("netplan")
    try:
        subprocess.run(["apt-get", "download", *PACKAGES], cwd=folder, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("netplan is neither installed nor to be had from the distribution")
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", package, folder / "root"], check=True)
    library = next((folder / "root").rglob("libnetplan.so*")).parent
    return ["env", f"LD_LIBRARY_PATH={library}", str(folder / "root" / INSTALLED.relative_to("/"))]


def sections(text: str) -> dict[str, set[str]]:
    """An INI file as sections to lines."""
    found: dict[str, set[str]] = {}
    section = ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line
            found.setdefault(section, set())
        elif "=" in line and not line.startswith("#"):
            found[section].add(line)
    return found


# netplan says these on its own account: they change nothing on our devices.
OF_NETPLAN = {"[Network]": {"ConfigureWithoutCarrier=yes"}, "[Link]": {"WakeOnLan=off"}}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_netplan_makes_of_our_file_what_we_write_for_networkd(
    case: dict[str, object], generate: list[str], tmp_path: Path
) -> None:
    for path, text in render(desired(NETPLAN, **case)).items():
        file = tmp_path / path.lstrip("/")
        file.parent.mkdir(parents=True)
        file.write_text(text)
        file.chmod(int(mode(path), 8))
    done = subprocess.run(
        [*generate, "--root-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    made = {
        f.name.removeprefix("10-netplan-"): f.read_text()
        for f in (tmp_path / "run/systemd/network").iterdir()
    }
    ours = {path.rpartition("05-bedplate-")[2]: text for path, text in render(desired(**case)).items()}
    assert set(made) == set(ours)
    for name in (n for n in ours if not n.endswith(".link")):
        for section, lines in sections(ours[name]).items():
            assert lines <= sections(made[name]).get(section, set()), (name, section)
            further = sections(made[name])[section] - lines - OF_NETPLAN.get(section, set())
            assert all(line.startswith("Name=") for line in further), (name, section, further)


def test_a_file_that_netplan_does_not_take_would_be_seen(generate: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "etc/netplan"
    folder.mkdir(parents=True)
    (text,) = render(desired(NETPLAN)).values()
    (folder / "05-bedplate.yaml").write_text(text.replace("id: 20", "id: many"))
    done = subprocess.run(
        [*generate, "--root-dir", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
