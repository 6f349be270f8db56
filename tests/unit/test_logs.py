"""What a collector is told, what the stores are told, and what is refused."""

import json
import re
from typing import Any

import pytest
import yaml

from bedplate.logs import loki, opensearch, pipeline
from bedplate.logs.pipeline import Collector, Files, Redaction, Store, log_pipeline
from tests.platform_samples import common

RULES = pipeline.redaction(common())
PLAIN = Store("loki", "http://store:3100")
TLS = {"ca": "/ca.pem", "certificate": "/own.pem", "key": "/own.key"}


def collector(**fields: Any) -> Collector:
    base = {"host": "h1", "environment": "lab", "folder": "/state", "health": ":1", "metrics": "127.0.0.1:2"}
    return Collector(**(base | {"pods": ("/pods/*.log",)} | fields))


def config(store: Store = PLAIN, **fields: Any) -> dict[str, Any]:
    return log_pipeline.config(collector(**fields), store, RULES)


def hashed(text: str) -> str:
    """What is left of a line when every key in it is taken out."""
    for secret in RULES.secrets:
        text = re.sub(secret["pattern"], f"{secret['keep']}#", text)
    return text


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("password: correct-horse", "secret=#"),
        ('{"apiKey":"abcdefgh"}', '{"secret=#"}'),
        ("X-API-Key: 0123456789abcdef", "secret=#"),
        ("token=tok_12345&x=1", "secret=#&x=1"),
        ("Bearer abc.def.ghi-jkl", "bearer #"),
        ("key dataset-0123456789abcdef was used", "key # was used"),
        ("https://u:hunter2@host/path", "https://#host/path"),
        ("tokens: 12, token_count: 7", "tokens: 12, token_count: 7"),
        ("Content-Type: application/json", "Content-Type: application/json"),
        ("the secret of success is patience", "the secret of success is patience"),
    ],
)
def test_keys_are_found_where_they_stand(line: str, left: str) -> None:
    assert hashed(line) == left


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("id 7 prompt: 'hello', n: 1", "id 7 prompt:[removed]"),
        (r"{\"messages\": [1]}", r"{\"messages\":[removed]"),
        ("Prompt throughput: 12", "Prompt throughput: 12"),
        ("prompts=a\nb", "prompts=[removed]"),
        ("prompted: yes", "prompted: yes"),
    ],
)
def test_from_a_prompt_on_a_line_is_cut(line: str, left: str) -> None:
    assert re.sub(log_pipeline.cut(RULES.prompts), r"\1[removed]", line) == left


@pytest.mark.parametrize(
    ("line", "leaves"),
    [
        ("INFO 11-23 12:00:00 [loggers.py:1] Avg prompt throughput: 1", True),
        ("(EngineCore pid=41) WARNING 11-23 12:00:00 [x.py:1] slow", True),
        ('INFO:     10.1.2.3:4711 - "GET /health HTTP/1.1" 200 OK', True),
        ("[2026-11-24T01:02:03.456Z] GET /v1/models 200", True),
        ("2026-11-24 01:02:03,456.789 ERROR [MainThread]", True),
        ("I1124 01:02:03.456789 1 server.cc:677] ready", True),
        ('{"level": "info", "msg": "listening"}', True),
        ("time=2026-11-24 level=info msg=ready", True),
        ("10.1.2.3 - - [24/Nov/2026] GET /", True),
        ("gpu1:41:41 [0] NCCL INFO Bootstrap", True),
        ("Traceback (most recent call last):", True),
        ('  File "/x.py", line 7, in run', True),
        ("my daughter was diagnosed last Tuesday", False),
        ("Information about her", False),
        ("{", False),
        ('  "name": "Ines",', False),
        ("[1] see the letter", False),
        ("12: the twelfth", False),
        ("", False),
        ("ValueError: could not convert 'Ines'", False),
    ],
)
def test_a_line_leaves_a_place_of_prompts_only_as_a_programs(line: str, leaves: bool) -> None:
    assert bool(re.search(log_pipeline.begins(RULES.beginnings), line)) is leaves


def test_nothing_is_given_up_while_the_store_is_away() -> None:
    made = config(files=(Files("audit", ("/a.jsonl",), "audit"),), journal=True)
    [exporter] = made["exporters"].values()
    assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"
    assert exporter["sending_queue"]["storage"] == "file_storage"
    assert exporter["sending_queue"]["block_on_overflow"] is True
    assert made["extensions"]["file_storage"]["fsync"] is True
    for receiver in made["receivers"].values():
        assert receiver["storage"] == "file_storage"
        assert receiver["retry_on_failure"] == {"enabled": True, "max_elapsed_time": "0s"}


def test_every_stream_that_is_collected_has_a_retention() -> None:
    made = config(files=(Files("audit", ("/a.jsonl",), "audit"),), journal=True)
    streams = {receiver["resource"]["stream"] for receiver in made["receivers"].values()}
    days = pipeline.retention_days(common() | {"site_retention": "finance"}, {})
    assert streams == set(days)
    kept = loki.config("/loki", 3100, days)["limits_config"]["retention_stream"]
    assert {(rule["selector"], rule["period"]) for rule in kept} == {
        ('{stream="application"}', "4320h"),
        ('{stream="audit"}', "52608h"),
    }


def test_a_unit_is_named_where_it_is_read_and_the_collectors_own_is_left_out() -> None:
    """After that, lines that units say together would all be named after one of them."""
    [own, name] = config(pods=(), journal=True)["receivers"]["journald"]["operators"]
    assert (own["type"], "log-collector.service" in own["expr"]) == ("filter", True)
    assert (name["from"], name["to"]) == ("body._SYSTEMD_UNIT", 'resource["service.name"]')


def test_other_collectors_are_heard_only_with_a_certificate() -> None:
    heard = config(pods=(), intake="0.0.0.0:4318", intake_tls=TLS)["receivers"]["otlp"]["protocols"]["http"]
    assert heard["tls"]["client_ca_file"] == "/ca.pem"
    sent = config(Store("collector", "https://ctl1:4318", TLS))["exporters"]["otlp_http"]
    assert (sent["endpoint"], sent["tls"]["cert_file"]) == ("https://ctl1:4318", "/own.pem")
    assert "headers" not in sent


@pytest.mark.parametrize(
    ("fields", "store", "rules", "why"),
    [
        ({"pods": ()}, PLAIN, RULES, "reads nothing"),
        ({"files": (Files("x", ("/x",), "debug"),)}, PLAIN, RULES, "no stream 'debug'"),
        ({}, Store("kafka", "x"), RULES, "no store 'kafka'"),
        ({}, PLAIN, Redaction(({"pattern": "a(b)(c)"},), ()), "exactly one group"),
    ],
)
def test_what_cannot_work_is_refused(
    fields: dict[str, Any], store: Store, rules: Redaction, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        log_pipeline.config(collector(**fields), store, rules)


def test_no_dollar_is_taken_for_a_variable_but_the_node() -> None:
    ports = {"log_collector_health": 1, "log_collector_metrics": 2}
    text = pipeline.document(pipeline.of_node("lab", "/state", ports), PLAIN, RULES)
    assert set(re.findall(r"\$+[{\w]\w*", text.replace("$$", ""))) == {"${env"}
    assert "$${1}[removed]" in text


def test_loki_keeps_files_or_objects() -> None:
    days = {"application": 1, "audit": 2}
    files = loki.config("/loki", 3100, days)
    assert files["common"]["storage"]["filesystem"]["chunks_directory"] == "/loki/chunks"
    objects = loki.config("/loki", 3100, days, bucket=loki.Bucket("http://s3.data.svc:8333", "logs", "r"))
    assert objects["common"]["storage"]["s3"]["endpoint"] == "s3.data.svc:8333"
    assert objects["compactor"]["delete_request_store"] == "s3"
    assert "query_store_max_look_back_period" not in objects["ingester"]


@pytest.mark.parametrize(("nodes", "copies"), [(1, 0), (2, 1), (3, 1)])
def test_opensearch_deletes_each_stream_in_its_time(nodes: int, copies: int) -> None:
    bodies = {path: json.loads(text) for path, text in opensearch.policies({"audit": 2192}, nodes).items()}
    policy = bodies["_plugins/_ism/policies/bedplate-audit"]["policy"]
    assert policy["ism_template"][0]["index_patterns"] == ["bedplate-audit-*"]
    assert policy["states"][0]["transitions"][0]["conditions"] == {"min_index_age": "2192d"}
    template = bodies["_index_template/bedplate-audit"]["template"]
    assert template["settings"]["index"]["number_of_replicas"] == copies


def test_one_node_forms_no_cluster() -> None:
    assert "discovery.seed_hosts" not in yaml.safe_load(opensearch.document("c", ["a"], "s"))
    assert yaml.safe_load(opensearch.document("c", ["a", "b"], "s"))["discovery.seed_hosts"] == "s"
