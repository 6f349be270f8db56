"""A bundle's folder: read it, hash it, hold it against its manifest."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bedplate.bundle import signing
from bedplate.bundle.manifest import NAME, SIGNATURE, Differences, File, Manifest, compare, parse
from bedplate.errors import VERDICT_NO, BedplateError

OnFile = Callable[[str, int], None]
BUFFER = 1024**2  # bytes; fewer system calls than the library's own 256 KiB
JOBS = min(8, os.cpu_count() or 1)


def opened(bundle: Path, key: Path) -> Manifest:
    """The manifest of a bundle that was finished and signed by ``key``. Raises BedplateError otherwise."""
    text = _read(bundle, NAME)
    signing.check(signing.public_key(key), _read(bundle, SIGNATURE), text)
    return parse(text)


def _read(bundle: Path, name: str) -> bytes:
    try:
        return (bundle / name).read_bytes()
    except OSError as error:
        raise BedplateError(
            f"{bundle} has no {name}: it is no bundle, or its build has not ended ({error.strerror})",
            remedy="build it again where it was built, or carry it over again",
            code=VERDICT_NO,
        ) from error


def files(bundle: Path) -> Iterator[tuple[str, int]]:
    """Path and size of everything in the folder but the manifest and its signature.

    Whatever is no plain file (a link, a device) counts with size -1: it is in no manifest.
    """
    for root, folders, names in os.walk(bundle):
        links = [name for name in folders if (Path(root) / name).is_symlink()]
        folders[:] = [name for name in folders if name not in links]
        for name in (*links, *names):
            path = Path(root, name)
            relative = path.relative_to(bundle).as_posix()
            if relative not in (NAME, SIGNATURE):
                found = path.lstat()
                yield relative, found.st_size if stat.S_ISREG(found.st_mode) else -1


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb", buffering=0) as file:
        digest = hashlib.sha256()
        buffer = memoryview(bytearray(BUFFER))
        while size := file.readinto(buffer):
            digest.update(buffer[:size])
    return digest.hexdigest()


def hashed(bundle: Path, wanted: list[tuple[str, int]], jobs: int, on_file: OnFile) -> list[File]:
    """Hash files, ``jobs`` at a time, the largest first so that none is left alone at the end."""

    def one(entry: tuple[str, int]) -> File:
        path, size = entry
        file = File(path, size, sha256(bundle / path))
        on_file(path, size)
        return file

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, sorted(wanted, key=lambda entry: -entry[1])))


def verify(
    bundle: Path,
    manifest: Manifest,
    *,
    read: bool = True,
    jobs: int = JOBS,
    on_file: OnFile = lambda *_: None,
) -> Differences:
    """What is not as the manifest says; without ``read`` only names and sizes are looked at."""
    there = dict(files(bundle))
    observed: dict[str, tuple[int, str | None]] = {path: (size, None) for path, size in there.items()}
    if read:
        listed = {file.path: file.size for file in manifest.files}
        wanted = [(path, size) for path, size in there.items() if size >= 0 and listed.get(path) == size]
        for file in hashed(bundle, wanted, jobs, on_file):
            observed[file.path] = (file.size, file.sha256)
    return compare(manifest, observed)
