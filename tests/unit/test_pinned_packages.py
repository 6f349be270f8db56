"""Package sources with keys, and the plan over what apt offers: pure functions by tables."""

import base64
import shutil

import pytest
from pinned_packages import host
from pinned_packages.plan import Change, Pin, Wish, choose, judge, lacking, matches, preferences, simulated
from pinned_packages.source import NotAKey, Source, dearmoured, fingerprints, render, wrong_key

from tests.vendor_repository.debian import Key


@pytest.mark.parametrize(
    ("version", "wished", "same"),
    [
        ("580.178.04-1", "580.178.04", True),
        ("580.178.04-0ubuntu1", "580.178.04", True),
        ("535.309.01-0+deb12u1", "535.309.01", True),
        ("1:580.178.04-1", "580.178.04", True),
        ("580.178.041-1", "580.178.04", False),
        ("580.178.4-1", "580.178.04", False),
        ("9.17.0.29-1", "9.17.0", True),
        ("9.17.01-1", "9.17.0", False),
        ("13.0.2-1", "13.0", True),
        ("13.01.2-1", "13.0", False),
        ("2.30.4-1+cuda13.0", "2.30.4-*+cuda13*", True),
        ("2.30.4-1+cuda12.9", "2.30.4-*+cuda13*", False),
        ("6.1.1-1", "", True),
        ("", "", False),
        ("", "580.178.04", False),
    ],
)
def test_package_versions_against_upstream_versions(version, wished, same):
    assert matches(version, wished) is same


def test_what_a_package_needs_at_one_version_is_named_with_it():
    told = {
        "stack=3.2": "Pre-Depends: base (= 1:1-1)\nDepends: tools:any (= 3.2-1), a | b (= 1), c (>= 2)\n",
        "tools=3.2-1": "Package: tools\nDepends: stack (= 3.2), libc6\n",
        "base=1:1-1": "Package: base\n",
    }

    def run(command):
        return 0, told[command[-1]], ""

    assert host.with_needs(run, ["stack=3.2", "any"]) == ["stack=3.2", "any", "base=1:1-1", "tools=3.2-1"]


def test_what_is_there_is_kept_and_what_is_not_is_taken_at_its_version():
    wishes = [Wish("headers"), Wish("driver", "580.178.04"), Wish("daemon"), Wish("gone", "1.0")]
    installed = {"headers": "6.1-1", "gone": "1.0-1"}
    offered = {"driver": ["595.1-1", "580.178.04-1"], "daemon": ["595.1-1", "580.178.04-1"]}
    assert lacking(wishes, installed) == [wishes[1], wishes[2]]
    chosen, refusals = choose(wishes, installed, offered)
    # What has no wished version is left to the pins, or alone; what has left the sources is kept.
    assert chosen == ["driver=580.178.04-1", "daemon", "gone=1.0-1"]
    assert refusals == []


@pytest.mark.parametrize(
    ("offered", "says"),
    [
        ({}, "no package source has driver 580.178.04; boot it"),
        (
            {"driver": ["595.1-1", "580.95-1", "580.178.03-1"]},
            "no package source has driver 580.178.04; there are 580.178.03-1, 580.95-1, 595.1-1; boot it",
        ),
    ],
)
def test_a_missing_version_is_refused_with_the_nearest_ones_and_the_remedy(offered, says):
    assert choose([Wish("driver", "580.178.04", "boot it")], {}, offered) == ([], [says])


SIMULATED = """Reading package lists...
Remv nvidia-kernel-open-dkms [595.91.07-1]
Inst libcuda1 [595.91.07-1] (580.95.05-1 Stand-in for NVIDIA:stand-in [amd64]) []
Inst nvidia-kernel-dkms (580.95.05-1 Stand-in for NVIDIA:stand-in [amd64])
Conf libcuda1 (580.95.05-1 Stand-in for NVIDIA:stand-in [amd64])
"""


def test_what_apt_would_do_is_read_from_its_simulation():
    assert [str(change) for change in simulated(SIMULATED)] == [
        "nvidia-kernel-open-dkms 595.91.07-1 -> removed",
        "libcuda1 595.91.07-1 -> 580.95.05-1",
        "nvidia-kernel-dkms none -> 580.95.05-1",
    ]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (Change("linux-image-6.1.0-50-amd64", "", "6.1"), "apt would change the kernel"),
        (Change("linux-image-amd64", "6.1.1", "6.1.2"), "apt would change the kernel"),
        (Change("linux-modules-6.8.0-90-generic", "", "6.8"), "apt would change the kernel"),
        (Change("linux-image-6.1.0-49-amd64", "6.1", ""), "apt would change the kernel"),
        (Change("kubelet", "1.37", ""), "apt would remove kubelet 1.37"),
        (Change("linux-modules-nvidia-580-server-open-6.8.0-90-generic", "", "6.8"), ""),
        (Change("linux-headers-6.1.0-49-amd64", "", "6.1"), ""),
        (Change("nvidia-kernel-dkms", "580", ""), ""),
        (Change("gcc-12", "", "12"), ""),
    ],
)
def test_neither_another_kernel_nor_a_stranger_may_pay_for_it(change, says):
    refusals = judge([change], [], ["nvidia-*"])
    assert (len(refusals) == 1 and refusals[0].startswith(says)) if says else refusals == []


def test_a_stranger_on_hold_keeps_its_version():
    changes = [Change("kubelet", "1.37", "1.38"), Change("nvidia-smi", "580", "595"), Change("gcc", "1", "2")]
    (refusal,) = judge(changes, [], ["nvidia-*"], held={"kubelet", "nvidia-smi"})
    assert (
        refusal == "apt would change kubelet 1.37 -> 1.38, which is on hold; lift the hold if that is right"
    )


def test_a_kernel_package_that_was_named_itself_is_allowed():
    wish = Wish("linux-modules-6.8.0-90-generic")
    assert judge([Change(wish.name, "", "6.8")], [wish], []) == []


def test_pins_win_over_the_vendors_own():
    text = preferences("driver", [Pin(("nvidia-*", "libcuda1"), "580.178.04*")])
    assert "Package: nvidia-* libcuda1\nPin: version 580.178.04*\nPin-Priority: 1002\n" in text
    assert preferences("driver", []) == ""


def test_a_source_names_its_key_and_only_that():
    text = render(Source("nvidia", "https://m/nvidia/debian12/x86_64/", key="k"))
    assert text.splitlines()[1:] == [
        "Types: deb",
        "URIs: https://m/nvidia/debian12/x86_64/",
        "Suites: /",
        "Signed-By: /etc/apt/keyrings/nvidia.gpg",
    ]
    assert "Components: main extra" in render(Source("a", "u", "s", ("main", "extra")))
    assert "Signed-By" not in render(Source("a", "u"))


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    """An armoured key and what gpg says is its fingerprint."""
    if not shutil.which("gpg"):
        pytest.skip("gpg is not installed")
    made = Key.new(tmp_path_factory.mktemp("k"))
    yield made.public(), made.fingerprint()
    made.end()


def test_the_fingerprint_is_the_one_that_gpg_computes(key):
    text, wanted = key
    keyring = dearmoured(text.encode())
    assert fingerprints(keyring) == [wanted]
    assert dearmoured(keyring) == keyring
    spaced = " ".join(wanted[i : i + 4] for i in range(0, 40, 4)).lower()
    assert wrong_key(Source("a", "u", fingerprint=spaced), keyring) == ""
    assert wanted in wrong_key(Source("a", "u", fingerprint="AB" * 20), keyring)


def test_two_keys_where_one_is_wanted_are_wrong(key):
    text, wanted = key
    keyring = dearmoured(text.encode())
    assert "is wanted" in wrong_key(Source("a", "u", fingerprint=wanted), keyring + keyring)


@pytest.mark.parametrize(
    "damage", [lambda k: k[:20], lambda k: b"", lambda k: b"<html>", lambda k: b"\x99\xff"]
)
def test_what_is_no_key_is_said_to_be_none(key, damage):
    with pytest.raises(NotAKey):
        fingerprints(damage(dearmoured(key[0].encode())))


def test_damaged_armour_is_said_to_be_damaged():
    with pytest.raises(NotAKey, match="armour"):
        dearmoured(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n" + base64.b64encode(b"x"))


@pytest.mark.parametrize(
    ("status", "journal", "left"),
    [
        ("installed", (), []),
        ("config-files", (), []),
        ("unpacked", (), ["libcuda1"]),
        ("half-configured", ("0001",), ["libcuda1"]),
        ("installed", ("0001", "tmp.i"), ["0001"]),  # cut off before the list itself was written
        ("installed", ("tmp.i",), []),
    ],
)
def test_what_dpkg_left_half_done_is_seen(tmp_path, monkeypatch, status, journal, left):
    monkeypatch.setattr(host, "JOURNAL", tmp_path)
    for name in journal:
        (tmp_path / name).touch()
    listing = f"libcuda1:amd64\tinstall\t{status}\t580.178.04-1\nbash\tinstall\tinstalled\t5.2-1\n"

    def said(command):
        assert command == host.QUERY
        return 0, listing, ""

    assert host.unfinished(said) == left
    there = {"libcuda1"} if status == "installed" else set()
    assert set(host.installed(said)) == {"bash"} | there
