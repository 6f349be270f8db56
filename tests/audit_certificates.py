"""Stand-in for role pki: certificates of a host that ships and collects.

``python -m tests.audit_certificates FOLDER NAME``. It shows neither renewal nor revocation.
"""

import shutil
import sys
from pathlib import Path

from bedplate.rehearse.pki import Authority, Pair


def make(folder: Path, name: str) -> None:
    """FOLDER as role pki leaves /etc/bedplate/pki on host ``name``."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = Authority(folder / "authority", "stand-in")
    shutil.copy(authority.certificate, folder / "trust.pem")
    live(folder / "audit/live", authority.client(name))
    live(folder / "server/live", authority.server(name, [name]))
    shutil.rmtree(folder / "authority")


def live(folder: Path, pair: Pair) -> Path:
    """A certificate as role pki leaves it."""
    folder.mkdir(parents=True)
    shutil.copy(pair.certificate, folder / "chain.pem")
    shutil.copy(pair.key, folder / "key.pem")
    return folder


if __name__ == "__main__":
    make(Path(sys.argv[1]), sys.argv[2])
