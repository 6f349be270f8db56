"""kubelet's record of processors goes when its policy changes, and only then."""

import subprocess
from pathlib import Path

import pytest

from bedplate import paths

PROGRAM = paths.ROLES / "kubernetes_node" / "files" / "kubelet-state"
RECORD = '{"policyName":"none"}'


@pytest.mark.parametrize(
    ("after", "stays"),
    [
        ("cpuManagerPolicy: none\nmaxPods: 250\nsystemReserved:\n    cpu: '2'\n", True),
        ("cpuManagerPolicy: static\nmaxPods: 110\nsystemReserved:\n    cpu: '2'\n", False),
        ("cpuManagerPolicy: none\nmaxPods: 110\nsystemReserved:\n    cpu: '4'\n", False),
        ("cpuManagerPolicy: none\nmemoryManagerPolicy: Static\nsystemReserved:\n    cpu: '2'\n", False),
    ],
)
def test_the_record_goes_with_the_policy(tmp_path: Path, after: str, stays: bool) -> None:
    conf, records = tmp_path / "conf", [tmp_path / f"{kind}_manager_state" for kind in ("cpu", "memory")]
    conf.write_text("cpuManagerPolicy: none\nmaxPods: 110\nsystemReserved:\n    cpu: '2'\n")
    command = ["sh", str(PROGRAM), str(conf), str(tmp_path)]
    subprocess.run(command, check=True)
    for text in (conf.read_text(), after):
        for record in records:
            record.write_text(RECORD)
        conf.write_text(text)
        subprocess.run(command, check=True)
        subprocess.run(command, check=True)
        assert [record.exists() for record in records] == [stays or text != after] * 2
