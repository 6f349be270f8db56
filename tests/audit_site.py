"""A host and a collector here: two real rsyslogd with the configuration that role audit_log renders."""

import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import audit_chain
import jinja2

from bedplate import paths
from bedplate.ports import free_port
from bedplate.rehearse.pki import Authority
from tests.audit_certificates import live

ROLE = paths.ROLES / "audit_log"


@dataclass
class AuditSite:
    """What is rendered and started lies in ``folder``."""

    folder: Path
    keep_days: int = 180
    port: int = field(default_factory=free_port)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("log/rotated", "spool", "kubernetes", "collector", "archive", "programs"):
            (self.folder / name).mkdir(parents=True)
        for program in (ROLE / "files").glob("*.py"):
            target = self.folder / "programs" / program.name
            shutil.copy(program, target)
            target.chmod(0o755)
        shutil.copy(paths.ROOT / "plugins/module_utils/audit_chain.py", self.folder / "programs")
        authority = Authority(self.folder / "pki", "audit")
        pair = authority.server("localhost", ["localhost", "127.0.0.1"], also_client=True)
        stranger = Authority(self.folder / "stranger", "other").server(
            "localhost", ["localhost"], also_client=True
        )
        self.authority = authority.certificate
        self.live, self.strange = live(self.folder / "live", pair), live(self.folder / "strange", stranger)
        self.render("shipper")
        self.render("collector")
        self.render("kubernetes")

    def render(self, name: str, certificate: Path | None = None) -> None:
        """Write NAME.conf as the role does."""
        environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True)
        environment.filters |= {"to_json": json.dumps, "comment": str}
        text = environment.from_string((ROLE / f"templates/{name}.conf.j2").read_text()).render(
            audit_log_folder=self.folder / "log",
            audit_log_archive=self.folder / "archive",
            audit_log_kubernetes=self.folder / "kubernetes-audit.log",
            audit_log_authority=self.authority,
            audit_log_certificate=certificate or self.live,
            audit_log_collector_certificate=self.live,
            ansible_managed="# Made for a test.",
            port_audit_collector=self.port,
            __audit_log_collector_spool=self.folder / "collector",
            __audit_log_programs=self.folder / "programs",
            __audit_log_keep_days=self.keep_days,
            __audit_log_senders=["localhost"],
        )
        (self.folder / f"{name}.conf").write_text(text)

    def start(self, name: str) -> None:
        """Run NAME: ``shipper``, ``collector`` or ``kubernetes``."""
        configuration, log = self.folder / f"{name}.conf", self.folder / f"{name}.log"
        pid = self.folder / f"{name}.pid"
        pid.unlink(missing_ok=True)
        if name == "shipper":  # as its unit does
            program = self.folder / "programs/audit_resend.py"
            subprocess.run([program, self.folder / "log", self.folder / "spool"], check=True)
        spool = self.folder / {"shipper": "spool"}.get(name, name)
        with log.open("ab") as out:
            self.running[name] = subprocess.Popen(
                ["rsyslogd", "-n", "-f", str(configuration), "-i", str(pid)],
                stdout=out,
                stderr=out,
                env=os.environ | {"COLLECTOR": "localhost", "SPOOL": str(spool)},
            )

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        process = self.running.pop(name)
        process.send_signal(number)
        process.wait(60)

    def lose_power(self) -> None:
        """What a power cut leaves of the shipper: its files, and no word of where it was."""
        self.stop("shipper", signal.SIGKILL)
        for state in (self.folder / "spool").iterdir():
            state.unlink()

    def end(self) -> None:
        for name in list(self.running):
            self.stop(name, signal.SIGKILL)

    def records(self) -> list[audit_chain.Record]:
        """All records of the archive, oldest first."""
        lines = audit_chain.entries(audit_chain.files(self.folder / "archive"))
        return [json.loads(line)["record"] for _, _, line in lines]

    def count(self) -> int:
        paths_ = audit_chain.files(self.folder / "archive")
        return sum(path.read_bytes().count(b"\n") for path in paths_)

    def wait(self, records: int, seconds: float) -> int:
        """Until the archive holds that many records, or got none for so long; how many it holds."""
        held, deadline = -1, 0.0
        while held < records:
            if (now := self.count()) != held:
                held, deadline = now, time.monotonic() + seconds
            elif time.monotonic() > deadline:
                break
            time.sleep(0.2)
        return held

    def verdict(self) -> audit_chain.Verdict:
        return audit_chain.verify(audit_chain.entries(audit_chain.files(self.folder / "archive")))


def record(number: int) -> audit_chain.Record:
    """What a gateway logs of a request."""
    return {
        "client": "10.30.0.7",
        "duration_ms": 12,
        "host": "lab-ctl1",
        "id": f"{number:032x}",
        "operation": "POST /v1/chat/completions",
        "parameters_sha256": f"{number:064x}",
        "source": "gateway",
        "status": "200",
        "time": "2026-11-23T10:00:00.123Z",
        "user": "jürgen",
    }


def write(file: Path, numbers: range) -> None:
    """Append records as a gateway does, a line each."""
    with file.open("a") as out:
        for number in numbers:
            out.write(json.dumps(record(number), ensure_ascii=False) + "\n")
        out.flush()
        os.fsync(out.fileno())
