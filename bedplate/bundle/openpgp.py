"""The bundle's OpenPGP key, by which hosts know its package lists (``site_mirror_key``)."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from bedplate.errors import BedplateError
from bedplate.private_files import write_private

USER = "Bedplate bundle <bundle@localhost>"


@contextmanager
def home(key: Path) -> Iterator[Path]:
    """A gpg home with the secret key in file ``key``, which is made on first use (ed25519, mode 0600).

    It lies in a folder with a short name, because gpg's agent has its socket there, and goes with its agent.
    """
    with tempfile.TemporaryDirectory(prefix="bp-") as name:
        folder = Path(name)
        try:
            if key.exists():
                gpg(folder, "--import", str(key))
            else:
                gpg(folder, "--passphrase", "", "--quick-generate-key", USER, "ed25519", "sign", "never")
                key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                write_private(key, gpg(folder, "--armor", "--export-secret-keys"))
            yield folder
        finally:
            subprocess.run(["gpgconf", "--homedir", name, "--kill", "all"], check=False, capture_output=True)


def gpg(folder: Path, *arguments: str, given: bytes = b"") -> bytes:
    """What gpg prints. Raises BedplateError with what it complains about."""
    command = ["gpg", "--homedir", str(folder), "--batch", "--quiet", "--pinentry-mode", "loopback"]
    try:
        done = subprocess.run([*command, *arguments], input=given, capture_output=True, check=False)
    except FileNotFoundError:
        raise BedplateError("gpg is not installed", remedy="run `make setup`") from None
    if done.returncode != 0:
        raise BedplateError(f"gpg: {done.stderr.decode(errors='replace').strip()[-400:]}")
    return done.stdout


def public(folder: Path) -> bytes:
    """The armoured public key, in the same bytes each time."""
    return gpg(folder, "--armor", "--export-options", "export-minimal", "--export")


def clear_signed(folder: Path, text: bytes) -> bytes:
    """``text`` with the signature around it."""
    return gpg(folder, "--clearsign", "--digest-algo", "SHA512", given=text)


def fingerprints(key: bytes) -> list[str]:
    """Fingerprints of the primary keys in a public key block."""
    with tempfile.TemporaryDirectory(prefix="bp-") as name:
        said = gpg(
            Path(name), "--with-colons", "--import-options", "show-only", "--import", given=key
        ).decode()
    lines = [line.split(":") for line in said.splitlines()]
    return [after[9] for line, after in pairwise(lines) if line[0] == "pub" and after[0] == "fpr"]
