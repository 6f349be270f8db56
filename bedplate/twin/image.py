"""The disk image that every machine of the twin starts from: made by mmdebstrap from this machine's own
package sources, kept by content. Works as root, and without root in a user name space.
"""

import hashlib
import lzma
import os
import re
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bedplate import paths
from bedplate.console import progress
from bedplate.errors import BedplateError
from bedplate.locks import only_one
from bedplate.twin.spec import SYSTEM_DISK

FILES = Path(__file__).parent / "files"
APT = Path("/etc/apt")
WITHOUT = ("man", "locale", "info", "doc")  # below /usr/share: half of a small system's files
OUTPUTS = ("root.raw", "vmlinuz", "initrd", "packages")


@dataclass(frozen=True)
class Image:
    """A built image: ``root`` is the raw file system, ``key`` the hash of what it was made from."""

    key: str
    root: Path
    kernel: Path
    initrd: Path


@dataclass(frozen=True)
class Recipe:
    """What an image is made from."""

    release: str
    sources: str
    packages: tuple[str, ...]
    files: tuple[tuple[str, str], ...]

    @property
    def key(self) -> str:
        """The same recipe gives the same key, on any machine."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]


def recipe() -> Recipe:
    """The recipe for this machine's release. Raises BedplateError where it has no usable package sources."""
    release = _os_release().get("VERSION_CODENAME", "")
    if _os_release().get("ID") != "debian":
        raise BedplateError(
            "the twin's image is made from Debian's package sources, which this machine has not"
        )
    listed = [*APT.glob("sources.list"), *sorted(APT.glob("sources.list.d/*"))]
    stanzas = [s for file in listed for s in deb_sources(file.name, file.read_text(), release)]
    if not stanzas:
        raise BedplateError(f"no package source for {release} in {APT}", remedy="add Debian's own to it")
    files = tuple((f.name, f.read_text()) for f in sorted(FILES.iterdir()) if f.name != "packages.txt")
    return Recipe(release, "\n\n".join(stanzas), package_names((FILES / "packages.txt").read_text()), files)


def package_names(text: str) -> tuple[str, ...]:
    """Pure: the package list without comments."""
    return tuple(name for line in text.splitlines() if (name := line.partition("#")[0].strip()))


def deb_sources(name: str, text: str, release: str) -> list[str]:
    """Pure: the entries of an apt source file that are Debian's own for ``release``, in deb822 form.

    Debian's own: a suite of the release that has a component ``main``. Others (a vendor's repository) stay
    out, so that an image can be made anywhere.
    """
    if name.endswith(".sources"):
        blocks = re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n?", "", text))
        return [b.strip() for b in blocks if _is_debian(_fields(b), release)]
    if not name.endswith(".list"):
        return []
    lines = re.findall(r"(?m)^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.+?)\s*(?:#.*)?$", text)
    return [
        _deb822(options, uri, suite, parts)
        for options, uri, suite, parts in lines
        if _is_debian({"types": "deb", "suites": suite, "components": parts}, release)
    ]


def _fields(block: str) -> dict[str, str]:
    pairs = re.findall(r"(?m)^([A-Za-z-]+):[ \t]*(.*(?:\n[ \t].*)*)", block)
    return {key.lower(): value for key, value in pairs}


def _is_debian(fields: dict[str, str], release: str) -> bool:
    suites = fields.get("suites", "").split()
    of_release = bool(suites) and all(re.fullmatch(rf"{re.escape(release)}(-[a-z-]+)?", s) for s in suites)
    wanted = "main" in fields.get("components", "").split() and "deb" in fields.get("types", "").split()
    return of_release and wanted and fields.get("enabled", "yes") != "no"


def _deb822(options: str, uri: str, suite: str, components: str) -> str:
    lines = ["Types: deb", f"URIs: {uri}", f"Suites: {suite}", f"Components: {components}"]
    names = {"signed-by": "Signed-By", "arch": "Architectures", "trusted": "Trusted"}
    for option in options.split():
        key, _, value = option.partition("=")
        if key.lower() in names:
            lines.append(f"{names[key.lower()]}: {value.replace(',', ' ')}")
    return "\n".join(lines)


def ensure(*, rebuild: bool = False) -> Image:
    """The image for this machine, built if it is not in the cache (about two minutes)."""
    wanted = recipe()
    folder = paths.cache("images") / wanted.key
    image = Image(wanted.key, folder / "root.raw", folder / "vmlinux", folder / "initrd")
    with only_one(folder.with_suffix(".lock")):
        if rebuild:
            shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            with progress(f"disk image of Debian {wanted.release} ({len(wanted.packages)} packages)"):
                _build(wanted, folder)
    return image


def _build(wanted: Recipe, folder: Path) -> None:
    # Without root the tree belongs to other user ids, which cannot enter this user's folders: what they
    # read and write lies in a folder with a random name that they may pass through, in files that they may
    # open.
    with tempfile.TemporaryDirectory(prefix="bedplate-image-") as name:
        work = Path(name)
        work.chmod(0o711)
        for file, text in wanted.files:
            (work / file).write_text(text)
            (work / file).chmod(0o644 if file.endswith(".service") else 0o755)
        (work / "apt.sources").write_text(wanted.sources + "\n")
        for output in OUTPUTS:
            (work / output).touch()
            (work / output).chmod(0o666)
        _mmdebstrap(wanted, work)
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        for output in OUTPUTS:
            copy = ["cp", "--sparse=always", "--reflink=auto", str(work / output), str(partial / output)]
            subprocess.run(copy, check=True)
        (partial / "vmlinux").write_bytes(unpacked((partial / "vmlinuz").read_bytes()))
        partial.replace(folder)


def unpacked(kernel: bytes) -> bytes:
    """Pure: the ELF kernel inside a bzImage; as it is when its compression is not xz (Debian's is).

    QEMU starts it directly (PVH); an emulated processor would take ten seconds to unpack it on every boot.
    """
    start = kernel.find(b"\xfd7zXZ\x00")
    elf = lzma.LZMADecompressor().decompress(kernel[start:]) if start >= 0 else b""
    return elf if elf.startswith(b"\x7fELF") else kernel


def command(wanted: Recipe, work: Path) -> list[str]:
    """Pure: how mmdebstrap is called; ``work`` holds the hooks and takes the outputs."""
    options = [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in WITHOUT]
    options += ["--dpkgopt=path-include=/usr/share/doc/*/copyright"]
    options += [f"--customize-hook=copy-in {work}/twin-seed.service /etc/systemd/system"]
    options += [f"--customize-hook=copy-in {work}/twin-seed /usr/local/sbin"]
    # copied files keep their owner, who is somebody else where this is not root
    owned = "/etc/systemd/system/twin-seed.service /usr/local/sbin/twin-seed"
    options += [f'--customize-hook=chroot "$1" chown root:root {owned}']
    options += [f'--customize-hook={work}/customize.sh "$1" {work} {SYSTEM_DISK // 1024}k']
    names = ",".join(wanted.packages)
    base = ["mmdebstrap", "--quiet", "--variant=minbase", "--format=null", f"--include={names}"]
    return [*base, *options, wanted.release, "/dev/null", str(work / "apt.sources")]


def _mmdebstrap(wanted: Recipe, work: Path) -> None:
    if not shutil.which("mmdebstrap"):
        raise BedplateError("mmdebstrap is not installed", remedy="run `make setup`")
    sbin = {"PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
    with subprocess.Popen(
        command(wanted, work),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | sbin | apt_proxies(),
        start_new_session=True,
    ) as process:
        try:
            said = process.communicate()[1]
        except BaseException:  # Ctrl-C: its children end, then it removes its tree itself
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate()
            raise
    if process.returncode != 0:
        raise BedplateError(
            f"the disk image could not be made: {said.strip()[-1500:]}",
            remedy="see that `apt-get update` works, and without root that /etc/subuid names this user",
        )


def apt_proxies() -> dict[str, str]:
    """The proxies of this machine's apt; mmdebstrap does not read them, and must not land in the image."""
    found = subprocess.run(
        ["apt-config", "shell", "http_proxy", "Acquire::http::Proxy", "https_proxy", "Acquire::https::Proxy"],
        capture_output=True,
        text=True,
        check=False,
    )
    return dict(re.findall(r"(?m)^(\w+)='(.*)'$", found.stdout))


def _os_release() -> dict[str, str]:
    pairs = re.findall(r'(?m)^(\w+)="?([^"\n]*)"?$', Path("/etc/os-release").read_text())
    return dict(pairs)
