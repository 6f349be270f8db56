"""``python -m tests.vendor_repository FOLDER``: writes the stand-in, signed by a key that exists only now."""

import sys
import tempfile
from pathlib import Path

from tests.vendor_repository.catalogue import packages
from tests.vendor_repository.debian import Key, write

with tempfile.TemporaryDirectory(prefix="key") as home:
    key = Key.new(Path(home))
    try:
        write(Path(sys.argv[1]), packages(), "Stand-in for NVIDIA", key)
        (Path(sys.argv[1]) / "fingerprint").write_text(key.fingerprint())
    finally:
        key.end()
