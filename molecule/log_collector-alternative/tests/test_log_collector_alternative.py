"""A host outside Kubernetes whose journal and files reach the cluster: by certificate, without keys and
prompts, and also what was said while nobody listened."""

import re
import time

UNIT = "log-collector.service"
BODIES = "/srv/store/bodies"
CALL = """python3 -c '
import ssl, urllib.request as web
context = ssl.create_default_context(cafile="/srv/pki/trust.pem")
print(web.urlopen(web.Request("https://%s:4318/v1/logs", b"x"), context=context, timeout=10).status)'"""


def times(host, text):
    """How often the store was given a text."""
    return int(host.run(f"grep -aoF -- '{text}' {BODIES} | wc -l").stdout)


def own_name(host):
    """As its certificate says it; the scenario's preparation has written it last."""
    return host.check_output("tail -n 1 /etc/hosts").split()[1]


def arrives(host, text, seconds=60):
    deadline = time.monotonic() + seconds
    while not times(host, text):
        assert time.monotonic() < deadline, host.run(f"journalctl -u {UNIT} -n 20 -o cat").stdout
        time.sleep(1)


def say(host, line, file="/srv/lines/app.log"):
    host.check_output(f"cat >>{file} <<'END'\n{line}\nEND")


def test_lines_of_files_and_of_the_journal_arrive_with_their_host(host):
    say(host, "a line of a file 4711")
    say(host, '{"time": "2026-11-24T01:02:03.456Z", "user": "ines 4712"}', "/srv/records/host.jsonl")
    host.check_output("systemd-run --wait --unit spoken echo the journal says 4713")
    for text in ("a line of a file 4711", "ines 4712", "the journal says 4713", "spoken.service"):
        arrives(host, text)
    assert times(host, own_name(host))
    assert times(host, "audit") and times(host, "application")


def test_keys_and_prompts_stay_on_the_host(host):
    say(host, "connect failed: password=hunter2hunter2 host=db")
    say(host, "INFO prompt: my daughter Ines was diagnosed")
    host.check_output("systemd-run --wait echo Authorization: Bearer dGhpcyBpcyBhIGtleQ")
    say(host, "the end 4714")
    arrives(host, "the end 4714")
    arrives(host, "bearer sha256:")
    assert times(host, "secret=sha256:") and times(host, "[removed]")
    for text in ("hunter2", "diagnosed", "dGhpcyBpcyBhIGtleQ"):
        assert not times(host, text), text
        assert host.run(f"grep -arlF {text} /srv/collector/exporter_*").stdout == ""


def test_what_was_said_while_nobody_listened_is_not_lost_and_not_doubled(host):
    host.check_output("systemctl stop intake.service")
    say(host, "\n".join(f"waiting {number} 4715" for number in range(200)))
    time.sleep(6)
    host.check_output(f"systemctl kill --signal KILL {UNIT}")
    start = (
        "systemd-run --unit intake --collect /srv/intake/otel-collector --config=/srv/intake/collector.yml"
    )
    host.run("systemctl reset-failed intake.service")
    host.check_output(f"{start} --feature-gates=stanza.synchronousLogEmitter")
    arrives(host, "waiting 199 4715", 120)
    missing = [number for number in range(200) if not times(host, f"waiting {number} 4715")]
    assert missing == []
    assert "4715" in host.check_output("cat /srv/lines/app.log")


def test_what_it_says_itself_does_not_come_back(host):
    place = f"/run/systemd/system/{UNIT}.d"
    dropin = "[Service]\nExecStartPost=/bin/echo said by itself 4716"
    host.check_output(
        f"mkdir -p {place} && printf '{dropin}\n' >{place}/said.conf && systemctl daemon-reload"
    )
    host.check_output(f"systemctl restart {UNIT}")
    assert "said by itself 4716" in host.check_output(f"journalctl -u {UNIT} -o cat --no-pager -n 20")
    host.check_output("systemd-run --wait echo said by another 4717")
    arrives(host, "said by another 4717")
    assert not times(host, "said by itself 4716")


def test_nobody_is_heard_without_a_certificate(host):
    answer = host.run(CALL % own_name(host))
    assert answer.rc != 0
    assert re.search("certificate|alert|closed|reset|EOF", answer.stderr, re.IGNORECASE), answer.stderr


def test_it_is_well_runs_at_every_boot_and_its_metrics_are_local(host):
    properties = "ActiveState,UnitFileState,NoNewPrivileges,MemoryMax"
    shown = host.check_output(f"systemctl show {UNIT} --property {properties}")
    wanted = {"ActiveState=active", "UnitFileState=enabled", "NoNewPrivileges=yes", "MemoryMax=314572800"}
    assert set(shown.split()) == wanted
    listening = host.socket.get_listening_sockets()
    for port in (13133, 8888):
        assert [one for one in listening if one.endswith(f":{port}")] == [f"tcp://127.0.0.1:{port}"]


def test_its_queue_is_roots_alone(host):
    folder = host.file("/srv/collector")
    assert (folder.mode, folder.user) == (0o700, "root")


def test_what_runs_is_hardened(host):
    """systemd's own judge: 0 is safe, 10 is not; a service without hardening gets 9.6."""
    report = host.check_output(f"systemd-analyze security {UNIT} --no-pager")
    exposure = float(re.search(rf"Overall exposure level for {UNIT}: ([\d.]+)", report)[1])
    assert exposure < 2.5, report
