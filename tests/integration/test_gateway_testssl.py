"""The gateway's TLS before an independent judge, testssl.sh: no finding above LOW that is not argued."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from bedplate import evidence
from bedplate.gateway.lab import NAME, Lab

pytestmark = pytest.mark.skipif(
    not (shutil.which("testssl") and shutil.which("nginx")), reason="testssl.sh or nginx is not installed"
)
COMMAND = "pytest tests/integration/test_gateway_testssl.py"
HARMLESS = {"OK", "INFO", "LOW"}
ARGUED = {
    "engine_problem": "of the judge's own OpenSSL, which has no GOST",
    "secure_renego": "the judge has no client certificate; there is no renegotiation: its other test says so",
    "cert_expirationStatus": "certificates live 30 days on purpose and renew themselves",
    "cert_notAfter": "the same",
    "cert_revocation": "lists of the own authority are brought to who needs them, not fetched from a URL",
}
ASKED = {"SSLv2", "SSLv3", "TLS1", "TLS1_1", "heartbleed", "ROBOT", "secure_client_renego", "BEAST"}


def test_testssl_finds_nothing_above_low_that_is_not_argued(tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    with Lab(tmp_path) as lab:
        (tmp_path / "root.pem").write_bytes(lab.root.pem())
        command = ["testssl", "--quiet", "--color", "0", "--nodns", "none", "--warnings", "off"]
        command += ["--ip", "127.0.0.1", "--add-ca", str(tmp_path / "root.pem"), "--jsonfile", str(found)]
        judged = subprocess.run(
            [*command, f"{NAME}:{lab.port}"], capture_output=True, text=True, timeout=600, check=False
        )
    findings = json.loads(found.read_text())
    said = {one["id"]: one["severity"] for one in findings}
    assert said.keys() >= ASKED, judged.stdout[-2000:]  # it did judge
    above = [one for one in findings if one["severity"] not in HARMLESS and one["id"] not in ARGUED]
    evidence.record(
        "lab",
        "gateway.testssl",
        f"Findings of testssl.sh above LOW, of {len(findings)}, apart from {len(ARGUED)} that are argued",
        len(above),
        goal="== 0",
        proved_on="program",
        command=COMMAND,
    )
    assert not above
