"""Container images of one layer, as OCI archives: what `skopeo copy … oci-archive:` would write."""

import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bedplate.bundle.images import MADE_FROM

LAYOUT = b'{"imageLayoutVersion": "1.0.0"}'
VENDOR = "application/vnd.oci.image"


def libraries(program: Path) -> dict[str, Path]:
    """What a dynamically linked program of this machine needs to run elsewhere, itself included."""
    said = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=True).stdout
    found = [Path(path) for path in re.findall(r"(?:=> )?(/\S+) \(0x", said)]
    return {str(path): path.resolve() for path in (program, *found)}


def write(target: Path, name: str, files: Mapping[str, Path], command: Sequence[str]) -> None:
    """An image called ``name`` of ``files`` (path in the image to path here), all of them executable."""
    layer = _layer(files)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "Entrypoint": list(command)},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
    }
    blobs = {"layer": layer, "config": json.dumps(config).encode()}
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{VENDOR}.manifest.v1+json",
        "config": _descriptor(f"{VENDOR}.config.v1+json", blobs["config"]),
        "layers": [_descriptor(f"{VENDOR}.layer.v1.tar", layer)],
    }
    blobs["manifest"] = json.dumps(manifest).encode()
    entry = _descriptor(f"{VENDOR}.manifest.v1+json", blobs["manifest"])
    entry["annotations"] = {"io.containerd.image.name": name, MADE_FROM: ", ".join(sorted(files))}
    index = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target, "w") as tar:
        _add(tar, "oci-layout", LAYOUT)
        _add(tar, "index.json", index)
        for blob in blobs.values():
            _add(tar, f"blobs/sha256/{_digest(blob).removeprefix('sha256:')}", blob)


def _layer(files: Mapping[str, Path]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        folder = tarfile.TarInfo("tmp")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(folder)
        for path, source in sorted(files.items()):
            _add(tar, path.lstrip("/"), source.read_bytes(), 0o755)
    return stream.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    tar.addfile(entry, io.BytesIO(data))


def _descriptor(kind: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": _digest(data), "size": len(data)}


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


if __name__ == "__main__":  # two small images, for scenarios
    for number in ("one", "two"):
        write(
            Path(sys.argv[1]) / f"{number}.tar",
            f"registry.example.internal/{number}:1",
            {"/true": Path("/bin/true").resolve()},
            ["/true"],
        )
