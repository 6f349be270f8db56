"""The way of a log line with the real programs: a file, the collector, Loki, LogQL. What may not be in it
never arrives; what was written does, though both are killed; what is too old goes while the rest stays."""

import json
import os
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bedplate import evidence
from bedplate.api import usage
from bedplate.logs import loki, pipeline
from tests import log_site
from tests.log_site import Pod, Site
from tests.monitoring_run import wait

pytestmark = pytest.mark.long  # Loki alone takes a quarter of an hour to build
COMMAND = "pytest -m long tests/e2e/test_logs.py"
# How long the store is away while lines are written.
AWAY = int(os.environ.get("BEDPLATE_LOGS_AWAY_SECONDS", "60"))
NUMBERS = ("status", "duration", "first_byte", "prompt_tokens", "completion_tokens", "received", "sent")
SENTENCE = "my daughter Ines was diagnosed last Tuesday"
KEYS = {
    "sk-proj-4f9dA0Zq81LmNbVcXz": "plain sk-proj-4f9dA0Zq81LmNbVcXz in a sentence",
    "hunter2hunter2": "connect failed: password=hunter2hunter2 host=db",
    "S3cr3tS3cr3t": '{"level": "error", "api_key": "S3cr3tS3cr3t", "message": "refused"}',
    "dGhpcyBpcyBhIGtleQ": "GET /v1/models Authorization: Bearer dGhpcyBpcyBhIGtleQ",
    "AKIAIOSFODNN7EXAMPLE": "signed with AKIAIOSFODNN7EXAMPLE today",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0": "token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.x1 expired",
    "pa55pa55": "postgres://dify:pa55pa55@db.example.com:5432/dify",
    "Zm9vYmFyYmF6cXV4": r'body: "{\"client_secret\": \"Zm9vYmFyYmF6cXV4\"}"',
}
PROMPTS = [
    f"INFO Received request cmpl-1: prompt: '{SENTENCE}', params: SamplingParams(n=1)",
    json.dumps({"level": "info", "messages": [{"role": "user", "content": SENTENCE}], "status": 200}),
    json.dumps({"body": json.dumps({"prompt": SENTENCE, "stream": True})}),
    json.dumps({"text": json.dumps({"x": json.dumps({"query": SENTENCE})})}),
    "x" * (log_site.PART - 20) + f' "prompt": "{SENTENCE}"',  # the runtime cuts the line inside the prompt
    f"debug {{'inputs': ['{SENTENCE}']}}",
    f'PROMPT="{SENTENCE}"',
]


def proved(name: str, claim: str, value: evidence.Value, **more: str) -> None:
    evidence.record(
        log_site.ENVIRONMENT, f"logs.{name}", claim, value, proved_on="program", command=COMMAND, **more
    )


@contextmanager
def started(site: Site) -> Iterator[Site]:
    try:
        site.store.start()
        site.collector.start()
        yield site
    finally:
        site.collector.end(kill=True)
        site.store.end(kill=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with started(log_site.site(tmp_path_factory.mktemp("logs") / "site")) as running:
        yield running


def on_disk(folder: Path, word: str) -> list[Path]:
    """Files of the queue that hold a word. Positions are beside them: they know a file of lines by how it
    begins, and do not leave the host either."""
    return [path for path in folder.glob("exporter_*") if word.encode() in path.read_bytes()]


def test_a_line_is_found_by_where_it_is_from(site: Site) -> None:
    begin = time.monotonic()
    Pod(site.pods, "chat-0").say(["model loaded in 41 s"])
    wanted = '{k8s_namespace_name="tools"} |= "model loaded"'
    wait(lambda: bool(site.ask(wanted)), 60, "no line")
    seconds = time.monotonic() - begin
    [(labels, line)] = site.ask(wanted)
    assert line == "model loaded in 41 s"
    place = {"environment": "lab", "host": "node", "stream": "application", "service_name": "main"}
    assert place.items() <= labels.items()
    assert labels["k8s_pod_name"] == "chat-0"
    claim = "Seconds from a line in a pod's log file to its answer in a LogQL query"
    proved("seconds-to-query", claim, round(seconds, 1), unit="s", goal="<= 30")


def test_an_audit_record_keeps_its_own_time_and_stream(site: Site) -> None:
    (site.folder / "audit").mkdir(exist_ok=True)
    happened = datetime.now(UTC) - timedelta(hours=3)
    text = happened.strftime("%Y-%m-%dT%H:%M:%S.123Z")
    record = {"host": "lab-ctl1", "time": text, "user": "ines", "operation": "login", "status": "success"}
    (site.folder / "audit/host.jsonl").write_text(json.dumps(record) + "\n")
    wait(lambda: site.count('{stream="audit"}', 14400) == 1, 60, "no audit record")
    assert site.count('{stream="audit"}', 7200) == 0
    [(_, line)] = site.ask('{stream="audit"} | json | user="ines"')
    assert json.loads(line) == record


def test_records_of_use_are_audit_records_and_only_the_gateway_writes_them(site: Site) -> None:
    happened = datetime.now(UTC) - timedelta(hours=2)
    lines = []
    for who in ("crm", "mallory"):
        shown = {name: who if name == "who" else None for name in usage.TEXTS} | dict.fromkeys(NUMBERS, 7)
        shown |= {"time": happened.strftime("%Y-%m-%dT%H:%M:%S.123Z"), "flags": "-", "model": "chat"}
        lines.append(json.dumps(usage.record(usage.read(json.dumps(shown))), separators=(",", ":")))
    gate = Pod(site.pods, "gateway-6c5f", namespace="gateway", container="gate")
    gate.say([lines[0], '{"source":"gateway","event":"policy loaded"}'])
    Pod(site.pods, "liar-0").say([lines[1]])
    wait(lambda: site.count('{k8s_namespace_name="gateway"}', 14400) == 2, 60, "no record of use")
    wait(lambda: site.count('{k8s_pod_name="liar-0"}', 14400) == 1, 60, "no line of another pod")
    found = site.ask('{stream="audit"} | json | source="api"')
    claim = "Records of use in the audit stream: one of the gate's, and not the one that another pod made up"
    proved("records-of-use", claim, len(found), unit="records", goal="== 1")
    [(labels, line)] = found
    assert (labels["k8s_namespace_name"], json.loads(line)) == ("gateway", json.loads(lines[0]))
    assert json.loads(line)["prompt_tokens"] == 7  # a number of tokens is no prompt
    assert site.count('{stream="audit", k8s_namespace_name="gateway"}', 3600) == 0  # it has its own time


def test_neither_keys_nor_prompts_reach_the_store(site: Site) -> None:
    lines = [*KEYS.values(), *PROMPTS]
    Pod(site.pods, "leaky-0").say([*lines, "the end"])
    everything = '{stream="application"} | k8s_pod_name="leaky-0"'
    wait(lambda: len(site.ask(everything)) == len(lines) + 1, 60, "lines are missing")
    found = [line for _, line in site.ask(everything)]
    words = [*KEYS, "Ines", "diagnosed", "Tuesday"]
    assert list(site.queue.glob("exporter_*"))
    leaked = [word for word in words for line in found if word in line]
    leaked += [f"{word} in {path}" for word in words for path in on_disk(site.queue, word)]
    claim = (
        f"Keys and prompts of {len(lines)} lines that are in the store or in the collector's queue on disk"
    )
    proved("leaks", claim, len(leaked), unit="words", goal="== 0")
    assert leaked == []
    assert len([line for line in found if "sha256:" in line]) == len(KEYS)
    assert len([line for line in found if line.endswith("[removed]")]) == len(PROMPTS)


def test_a_text_over_several_lines_stays_where_it_was_written(site: Site) -> None:
    """Only its first line has a word before it."""
    entries = [
        "INFO 11-23 12:00:00 [serving_chat.py:120] prompt: Dear doctor,",
        *(f"{word} {SENTENCE}" for word in ("", "-", "  ", "#", '"', "[1]", "12:", "I")),
        "INFO 11-23 12:00:01 [serving_chat.py:130] 200 in 1.2 s",
        "Traceback (most recent call last):",
        '  File "/usr/lib/python3/vllm/engine.py", line 7, in run',
        '{"level": "info", "status": 200}',
    ]
    Pod(site.pods, "chat-1", namespace="serving").say([*entries, "INFO the end"])
    Pod(site.pods, "other-1").say(["a line of a namespace that handles no prompts"])
    wanted = '{k8s_namespace_name="serving"} | k8s_pod_name="chat-1"'
    wait(lambda: len(site.ask(wanted)) == len(entries) + 1, 60, "lines are missing")
    found = [line for _, line in site.ask(wanted)]
    leaked = [line for line in found if "Ines" in line or "doctor" in line]
    leaked += [str(path) for word in ("Ines", "doctor") for path in on_disk(site.queue, word)]
    claim = "Lines of a prompt of nine lines that are in the store or in the collector's queue on disk"
    proved("leaks.several-lines", claim, len(leaked), unit="lines", goal="== 0")
    assert leaked == []
    assert found.count("[removed]") == 8
    assert {entries[0].replace(" Dear doctor,", "[removed]"), *entries[-4:]} <= set(found)
    wait(lambda: bool(site.ask('{k8s_pod_name="other-1"}')), 60, "no line of another namespace")
    assert site.ask('{k8s_pod_name="other-1"}')[0][1].startswith("a line of a namespace")


def test_the_same_key_is_recognised_and_what_only_looks_alike_stays(site: Site) -> None:
    harmless = [
        "Avg prompt throughput: 812.4 tokens/s, Avg generation throughput: 96.1 tokens/s, Running: 3 reqs",
        'GET /v1/chat/completions HTTP/1.1" 200 Content-Type: application/json',
        '{"level": "info", "msg": "listening", "port": 8000, "tokens": 12}',
    ]
    Pod(site.pods, "plain-0").say([*harmless, "a api_key=abcdefgh12", 'b {"api_key": "abcdefgh12"}'])
    wanted = '{stream="application"} | k8s_pod_name="plain-0"'
    wait(lambda: len(site.ask(wanted)) == 5, 60, "lines are missing")
    found = [line for _, line in site.ask(wanted)]
    assert set(harmless) <= set(found)
    hashes = {line.partition("sha256:")[2][:64] for line in found if "sha256:" in line}
    assert len(hashes) == 1


def test_no_line_is_lost_while_the_collector_is_killed_and_the_store_is_away(tmp_path: Path) -> None:
    with started(log_site.site(tmp_path / "site")) as site:
        pod, written, kills = Pod(site.pods, "busy-0"), 0, 0
        site.store.end(kill=True)
        begin, next_kill = time.monotonic(), 3.0
        while time.monotonic() - begin < AWAY:
            pod.say(f"line {written + n}" for n in range(50))
            written += 50
            if time.monotonic() - begin > next_kill:
                site.collector.end(kill=True)
                site.collector.start()
                kills, next_kill = kills + 1, next_kill + random.Random(kills).uniform(2, 6)
            time.sleep(0.1)
        site.store.start()
        site.collector.end(kill=True)
        site.collector.start()
        pod.say(["the end"])
        selector = '{k8s_namespace_name="tools"}'
        wait(
            lambda: site.count(selector) >= written + 1, 120, f"{site.count(selector)} of {written + 1} lines"
        )
        doubled = site.count(selector) - written - 1
        distinct = site.distinct(f'{selector} |= "line "')
        proved(
            "kill.lost",
            f"Lines lost of {written}, written while the store was away for {AWAY} s and the "
            f"collector was killed {kills + 1} times",
            written - distinct,
            unit="lines",
            goal="== 0",
        )
        proved("kill.doubled", "Lines of the same run that are twice in the store", doubled, unit="lines")
        assert distinct == written


def test_what_is_too_old_goes_and_what_must_stay_stays(tmp_path: Path) -> None:
    days = {"application": 1, "audit": 180}
    quick = loki.Pace(compaction="4s", delay="1s")
    patient = log_site.site(tmp_path / "site", days | {"application": 30})
    old = datetime.now(UTC) - timedelta(days=3)
    with started(patient) as site:
        Pod(site.pods, "old-0", old).say(f"old {n}" for n in range(20))
        Pod(site.pods, "new-0").say(["new"])
        (site.folder / "audit").mkdir()
        text = old.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        (site.folder / "audit/host.jsonl").write_text(json.dumps({"time": text, "user": "ines"}) + "\n")
        wait(lambda: len(site.ask('{stream="application"}', days=5)) == 21, 60, "old lines are not taken")
        wait(lambda: len(site.ask('{stream="audit"}', days=5)) == 1, 60, "the audit record is not taken")
        site.store.end()  # everything is written out, and hours later its log is cut
        shutil.rmtree(site.kept / "wal")
    before = chunks(patient)
    short = log_site.site(tmp_path / "site", days, quick)
    with started(short) as site:
        # What is marked as too old is deleted a minute later.
        wait(lambda: chunks(site) < before, 240, "nothing was deleted")
    with started(log_site.site(tmp_path / "site", days)) as site:
        left = [line for _, line in site.ask('{stream="application"}', days=5)]
        kept = [line for _, line in site.ask('{stream="audit"}', days=5)]
        proved(
            "retention.deleted",
            "Lines of 20, older than their stream's retention, that are still found after it was applied",
            sum("old" in line for line in left),
            unit="lines",
            goal="== 0",
        )
        proved(
            "retention.kept",
            "Records of the same age, of a stream with a longer retention, that are still found",
            len(kept),
            unit="records",
            goal="== 1",
        )
        assert left == ["new"]
        assert len(kept) == 1


def chunks(site: Site) -> int:
    """How many files of lines the store keeps."""
    return sum(1 for path in (site.kept / "chunks" / pipeline.TENANT).rglob("*") if path.is_file())
