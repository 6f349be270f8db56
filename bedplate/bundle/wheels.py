"""Python packages of the controller: wheels that pip takes by ``--index-url`` or ``--find-links``."""

import html
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, unquote

from bedplate.bundle.tree import sha256
from bedplate.bundle.writing import write
from bedplate.errors import BedplateError

FOLDER = "wheels"
Say = Callable[[str], None]
_HEAD = '<!DOCTYPE html>\n<html><head><meta charset="utf-8"><title>{0}</title></head>\n'
_PAGE = _HEAD + "<body>\n{1}\n</body></html>\n"


def collect(bundle: Path, requirements: list[Path], say: Say) -> tuple[set[str], int]:
    """Bring what ``requirements`` (with hashes) name, for this Python and machine; how many were fetched.

    Raises BedplateError with what pip complains about.
    """
    folder = bundle / FOLDER
    folder.mkdir(exist_ok=True)
    before = {path.name for path in folder.iterdir()}
    names = [word for file in requirements for word in ("--requirement", str(file.resolve()))]
    say("ask pip what is missing")
    wanted = _offline(folder, names)
    if wanted is None:
        say("pip downloads")
        done = _pip("download", "--dest", str(folder), "--only-binary", ":all:", *names)
        if done.returncode != 0:
            raise BedplateError(
                f"Python packages cannot be had: {_reason(done.stderr)}",
                remedy="build where the Python package index is reachable; what has come is kept",
            )
        wanted = _offline(folder, names)
    if wanted is None:
        raise BedplateError(f"pip cannot install from {folder} what it has just downloaded to it")
    files = sorted(path for path in folder.glob("*.whl") if path.name in wanted)
    for path in folder.iterdir():
        if path.is_file() and path not in files and path.name != "index.html":
            path.unlink()
    pages = _pages(folder, files)
    paths = {f"{FOLDER}/{path.name}" for path in files} | {f"{FOLDER}/{page}" for page in pages}
    return paths, len({path.name for path in files} - before)


def _offline(folder: Path, names: list[str]) -> set[str] | None:
    """Files that pip would install from the folder alone; None where it lacks one."""
    report = folder / ".report.json"
    command = (
        "--isolated",
        "install",
        "--dry-run",
        "--ignore-installed",
        "--no-index",
        "--find-links",
        str(folder),
    )
    done = _pip(*command, "--report", str(report), *names)
    text = report.read_text() if report.exists() else ""
    report.unlink(missing_ok=True)
    if done.returncode != 0:
        return None
    return {unquote(name) for name in re.findall(r'"url": "file://[^"]*/([^"/]+\.whl)"', text)}


def _pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--no-input",
        "--quiet",
        *arguments,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _reason(text: str) -> str:
    lines = [line.removeprefix("ERROR: ") for line in text.splitlines() if line.startswith("ERROR: ")]
    return "; ".join(lines) or text.strip()[-400:]


def _pages(folder: Path, files: list[Path]) -> list[str]:
    """One page with every file, and the pages of a simple index (PEP 503)."""
    projects: dict[str, list[Path]] = {}
    for path in files:
        projects.setdefault(re.sub(r"[-_.]+", "-", path.name.split("-")[0]).lower(), []).append(path)
    pages = {"index.html": _page("wheels", [(path.name, _link(path, "")) for path in files])}
    pages["simple/index.html"] = _page("simple", [(name, f"{name}/") for name in sorted(projects)])
    for name, own in projects.items():
        pages[f"simple/{name}/index.html"] = _page(name, [(path.name, _link(path, "../../")) for path in own])
    for page, text in pages.items():
        write(folder / page, text.encode())
    return list(pages)


def _link(path: Path, parent: str) -> str:
    return f"{parent}{quote(path.name)}#sha256={sha256(path)}"


def _page(title: str, links: list[tuple[str, str]]) -> str:
    lines = [f'<a href="{html.escape(url)}">{html.escape(name)}</a><br>' for name, url in links]
    return _PAGE.format(html.escape(title), "\n".join(lines))
