"""Makes a container image of a few of this machine's own programs, and loads it into containerd.

make_image.py NAME PROGRAM...: one layer with the programs and the libraries that they want.
"""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

name, *programs = sys.argv[1:]


def libraries(program):
    """Paths of the libraries that a program wants."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(?:=> )?(/\S+) \(0x", said)


files = {path for program in programs for path in (program, *libraries(program))}
layer = io.BytesIO()
with tarfile.open(fileobj=layer, mode="w") as tar:
    for path in sorted(files):
        entry = tarfile.TarInfo(path.lstrip("/"))
        data = Path(path).read_bytes()
        entry.size, entry.mode = len(data), 0o755
        tar.addfile(entry, io.BytesIO(data))
content = layer.getvalue()
config = json.dumps(
    {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/usr/bin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(content).hexdigest()}"]},
    }
).encode()
manifest = json.dumps([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
target = Path(os.environ.get("IMAGE_FILE", "/srv/image.tar"))
with tarfile.open(target, mode="w") as tar:
    for member, data in (("config.json", config), ("layer.tar", content), ("manifest.json", manifest)):
        entry = tarfile.TarInfo(member)
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
sys.stdout.write(
    subprocess.run(["ctr", "image", "import", str(target)], capture_output=True, text=True, check=True).stdout
)
