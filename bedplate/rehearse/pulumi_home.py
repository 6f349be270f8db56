"""A PULUMI_HOME laid out as Pulumi's own installer does it: bin/ with the CLI and its language host side by
side (so that neither is an ambient plugin), plugins/ with the provider."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from bedplate import paths
from bedplate.errors import BedplateError

PARTS = ("pulumi", "pulumi-language-python", "pulumi-resource-kubernetes")


def prepare(tools: Mapping[str, Path]) -> Path:
    """The home for these very programs; made once, shared by all rehearsals."""
    key = hashlib.sha256("\0".join(str(tools[name]) for name in PARTS).encode()).hexdigest()[:16]
    home = paths.cache("pulumi") / key
    with _lock(home.with_suffix(".lock")):
        if not home.exists():
            partial = home.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            (partial / "bin").mkdir(parents=True)
            language = tools["pulumi-language-python"]
            for source in (tools["pulumi"], language, language.with_name(f"{language.name}-exec")):
                _link(source, partial / "bin" / source.name)
            _install_provider(partial, tools["pulumi-resource-kubernetes"])
            partial.rename(home)
        _no_log(home)
    return home


def _no_log(home: Path) -> None:
    """The CLI keeps a log of every value that it sends or gets, at its highest level and without a switch: a
    quarter of the processor time of a run that changes nothing, and megabytes of disk. It goes without
    where it cannot make the folder."""
    logs = home / "logs"
    if not logs.is_file():
        shutil.rmtree(logs, ignore_errors=True)
        logs.touch()


def _install_provider(home: Path, binary: Path) -> None:
    """By the CLI itself; the version is that of the SDK which the program imports."""
    wanted = version("pulumi-kubernetes")
    command = [str(home / "bin" / "pulumi"), "plugin", "install", "resource", "kubernetes", wanted]
    done = subprocess.run(
        [*command, "--file", str(binary)],
        env=os.environ | {"PULUMI_HOME": str(home), "PULUMI_SKIP_UPDATE_CHECK": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BedplateError(f"Pulumi does not take the Kubernetes provider: {done.stderr.strip()[-600:]}")


def _link(source: Path, target: Path) -> None:
    """A hard link where that is possible: Pulumi looks beside the real file, so a symbolic link would lead it
    astray."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
