"""Module apt_sources: the planner from tables of cases, and the module on a folder of its own."""

from itertools import product
from pathlib import Path

import pytest
from apt_sources import ASIDE, addresses, plan, within

from tests.ansible_module import Module

MIRROR = "https://mirror.example.com/apt"
FOLDER = "/etc/apt/sources.list.d"
OURS = f"{FOLDER}/bedplate.sources"
CONTENT = f"Types: deb\nURIs: {MIRROR}/debian\nSuites: bookworm\nComponents: main\n"
DEBIAN = (
    "deb http://deb.example.org/debian bookworm main\n# deb-src http://deb.example.org/debian bookworm main\n"
)
DEB822 = """\
# the distribution's own
Types: deb deb-src
URIs: http://archive.ubuntu.com/ubuntu/
 http://security.ubuntu.com/ubuntu/
Suites: noble noble-updates
Components: main

Enabled: no
types: deb
URIs: http://ppa.example.org/
Suites: noble
"""


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("sources.list", DEBIAN, ["http://deb.example.org/debian"]),
        ("sources.list", "", []),
        ("a.list", "  deb-src\t[ arch=amd64 signed-by=/k.gpg ]  https://x/y  stable main\n", ["https://x/y"]),
        ("a.list", "deb cdrom:[Debian 12]/ bookworm main\n", ["cdrom:[Debian"]),
        ("a.list", "#deb http://x bookworm main\nrpm http://y z\n", []),
        ("a.sources", DEB822, ["http://archive.ubuntu.com/ubuntu/", "http://security.ubuntu.com/ubuntu/"]),
        ("a.sources", "X-Note: nothing here\nURIs: http://x\n", []),
        (
            "a.sources",
            "Types: deb\nURIs:\n # not a comment, but no address either\n http://x\nSuites: ./\n",
            None,
        ),
        ("a.sources.save", DEB822, []),
        (f"a.list{ASIDE}", DEBIAN, []),
    ],
)
def test_addresses_of_sources(name, text, found):
    if found is None:  # deb822 has comments at the beginning of a line only
        assert "http://x" in addresses(f"/etc/apt/{name}", text)
    else:
        assert addresses(f"/etc/apt/{name}", text) == found


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        (MIRROR, True),
        (f"{MIRROR}/", True),
        (f"{MIRROR}/debian/", True),
        (f"{MIRROR}-other/debian", False),
        ("http://mirror.example.com/apt/debian", False),
        ("cdrom:[Debian", False),
    ],
)
def test_what_is_the_mirrors(address, inside):
    assert within(address, MIRROR) is inside
    assert within(address, MIRROR + "/") is inside


LIST, UBUNTU, MINE = "/etc/apt/sources.list", f"{FOLDER}/ubuntu.sources", f"{FOLDER}/mine.list"


@pytest.mark.parametrize(
    ("mirror", "observed", "steps"),
    [
        pytest.param("", {LIST: DEBIAN}, [], id="no mirror, never had one"),
        pytest.param(
            MIRROR, {LIST: DEBIAN}, [f"write {OURS}", f"rename {LIST} to {LIST}{ASIDE}"], id="mirror comes"
        ),
        pytest.param(MIRROR, {OURS: CONTENT, LIST + ASIDE: DEBIAN}, [], id="mirror is there"),
        pytest.param(MIRROR, {OURS: "old", LIST: "# none\n"}, [f"write {OURS}"], id="mirror moves"),
        pytest.param(
            MIRROR,
            {OURS: CONTENT, UBUNTU: DEB822, UBUNTU + ASIDE: "older"},
            [f"rename {UBUNTU} to {UBUNTU}{ASIDE}"],
            id="a release upgrade wrote the distribution's file again",
        ),
        pytest.param(
            MIRROR, {OURS: CONTENT, MINE: f"deb {MIRROR}/k8s ./\n"}, [], id="what lies on the mirror stays"
        ),
        pytest.param(
            MIRROR,
            {OURS: CONTENT, MINE: f"deb {MIRROR}/k8s ./\n{DEBIAN}"},
            [f"rename {MINE} to {MINE}{ASIDE}"],
            id="one source of a file leads elsewhere",
        ),
        pytest.param(
            "",
            {OURS: CONTENT, LIST + ASIDE: DEBIAN, UBUNTU + ASIDE: DEB822},
            [
                f"rename {LIST}{ASIDE} to {LIST}",
                f"rename {UBUNTU}{ASIDE} to {UBUNTU}",
                f"remove {OURS}",
            ],
            id="mirror goes",
        ),
        pytest.param(
            "",
            {OURS: CONTENT, LIST: DEBIAN, LIST + ASIDE: "old"},
            [f"remove {OURS}"],
            id="the file is back already",
        ),
        pytest.param("", {LIST: DEBIAN, LIST + ASIDE: "old"}, [], id="and stays"),
    ],
)
def test_what_is_done(mirror, observed, steps):
    actions, refusal = plan(OURS, CONTENT, mirror, observed)
    assert ([str(action) for action in actions], refusal) == (steps, "")


def test_a_host_is_not_left_without_any_source():
    actions, refusal = plan(OURS, "", "", {OURS: CONTENT, LIST: "# deb http://x bookworm main\n"})
    assert actions == []
    assert OURS in refusal and "no package source is left" in refusal


FILES = [
    dict(zip((LIST, UBUNTU, MINE, OURS, LIST + ASIDE), texts, strict=True))
    for texts in product(
        (None, DEBIAN), (None, DEB822), (None, f"deb {MIRROR}/x ./\n"), (None, "old"), (None, "old")
    )
]


def after(observed: dict[str, str], actions) -> dict[str, str]:
    """The files once the actions are done."""
    files = dict(observed)
    for action in actions:
        if action.kind == "write":
            files[action.path] = action.after
        else:
            text = files.pop(action.path)
            if action.kind == "rename":
                files[action.after] = text
    return files


@pytest.mark.parametrize(
    "files", FILES, ids=lambda files: "+".join(k[9:] for k, v in files.items() if v) or "none"
)
@pytest.mark.parametrize("cut", range(4))
def test_wherever_the_power_goes_the_next_run_ends_at_the_mirror(files, cut):
    files = {path: text for path, text in files.items() if text}
    cut_short = after(files, plan(OURS, CONTENT, MIRROR, files)[0][:cut])
    done = after(cut_short, plan(OURS, CONTENT, MIRROR, cut_short)[0])
    assert all(within(one, MIRROR) for path, text in done.items() for one in addresses(path, text))
    assert addresses(OURS, done[OURS])
    assert plan(OURS, CONTENT, MIRROR, done) == ([], "")


@pytest.fixture
def apt(tmp_path: Path):
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(DEBIAN)
    (tmp_path / "sources.list.d/ubuntu.sources").write_text(DEB822)
    (tmp_path / "sources.list.d/notes.txt").write_text("mine")
    module = Module("apt_sources")

    def run(mirror: str = "", *, check: bool = False):
        return module(
            {"mirror": mirror, "content": CONTENT if mirror else "", "folder": str(tmp_path)}, check=check
        )

    return run


def seen(folder: Path) -> dict[str, str]:
    return {str(f.relative_to(folder)): f.read_text() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_module_there_and_back(apt, tmp_path):
    before = seen(tmp_path)
    assert apt()["changed"] is False
    said = apt(MIRROR, check=True)
    assert said["changed"] and seen(tmp_path) == before
    assert apt(MIRROR)["actions"] == said["actions"]
    assert seen(tmp_path) == {
        f"sources.list{ASIDE}": DEBIAN,
        "sources.list.d/bedplate.sources": CONTENT,
        f"sources.list.d/ubuntu.sources{ASIDE}": DEB822,
        "sources.list.d/notes.txt": "mine",
    }
    assert apt(MIRROR)["changed"] is False
    assert apt()["changed"] is True
    assert seen(tmp_path) == before


def test_module_refuses_to_leave_nothing(apt, tmp_path):
    (tmp_path / "sources.list").unlink()
    (tmp_path / "sources.list.d/ubuntu.sources").unlink()
    apt(MIRROR)
    answer = apt()
    assert answer["failed"] and "no package source is left" in answer["msg"]
    assert (tmp_path / "sources.list.d/bedplate.sources").exists()
