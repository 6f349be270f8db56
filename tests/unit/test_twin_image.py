"""What the disk image is made from."""

import lzma
from pathlib import Path

import pytest

from bedplate.twin import image

DEB822 = """\
# a comment
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian.gpg

Types: deb
Enabled: no
URIs: http://mirror.example/other
Suites: bookworm
Components: main

Types: deb-src
URIs: http://mirror.example/debian
Suites: bookworm
Components: main
"""
ONE_LINE = """\
deb [signed-by=/k.gpg arch=amd64] http://mirror.example/debian bookworm main non-free  # note
deb http://security.example bookworm-security main
# deb http://off.example bookworm main
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64] https://vendor.example/apt bookworm stable
deb https://backports.example bullseye main
"""


def test_deb822_entries_of_the_release_are_taken() -> None:
    (stanza,) = image.deb_sources("debian.sources", DEB822, "bookworm")
    assert "Suites: bookworm bookworm-updates" in stanza
    assert "Signed-By: /usr/share/keyrings/debian.gpg" in stanza


def test_one_line_entries_become_deb822() -> None:
    first, second = image.deb_sources("sources.list", ONE_LINE, "bookworm")
    assert first.splitlines() == [
        "Types: deb",
        "URIs: http://mirror.example/debian",
        "Suites: bookworm",
        "Components: main non-free",
        "Signed-By: /k.gpg",
        "Architectures: amd64",
    ]
    assert "URIs: http://security.example" in second


@pytest.mark.parametrize("name", ["debian.sources.save", "vendor.list.disabled", "README"])
def test_files_that_apt_does_not_read_are_passed_over(name: str) -> None:
    assert image.deb_sources(name, ONE_LINE, "bookworm") == []


def recipe(**changes: object) -> image.Recipe:
    base = {"release": "bookworm", "sources": "s", "packages": ("a", "b"), "files": (("hook", "text"),)}
    return image.Recipe(**(base | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [{"release": "trixie"}, {"sources": "t"}, {"packages": ("a",)}, {"files": (("hook", "other"),)}],
    ids=lambda change: next(iter(change)),
)
def test_the_key_follows_everything_the_image_is_made_from(change: dict[str, object]) -> None:
    assert recipe().key == recipe().key
    assert recipe(**change).key != recipe().key


def test_mmdebstrap_is_told_packages_hooks_and_sources() -> None:
    command = image.command(recipe(), Path("/w"))
    assert "--include=a,b" in command
    assert command[-3:] == ["bookworm", "/dev/null", "/w/apt.sources"]
    assert any("/w/customize.sh" in part for part in command)


def test_the_package_list_has_no_comments_and_no_doubles() -> None:
    names = image.package_names((image.FILES / "packages.txt").read_text())
    assert len(names) == len(set(names))
    assert {"linux-image-amd64", "openssh-server", "mdadm", "nftables", "chrony"} <= set(names)
    assert all(" " not in name and "#" not in name for name in names)


def test_the_kernel_is_unpacked_where_it_is_xz() -> None:
    kernel = b"\x7fELF" + b"kernel" * 100
    assert image.unpacked(b"boot code" + lzma.compress(kernel) + b"trailer") == kernel
    assert image.unpacked(b"boot code, other compression") == b"boot code, other compression"
