"""Every alert is asked by promtool: fires, waits, silent just below its limit, without its series, flapping;
and every fault planted in a rule is noticed by the same questions."""

from pathlib import Path

import pytest

from bedplate import evidence
from bedplate.monitoring import promtool, render
from tests import monitoring_tables as tables
from tests.monitoring_mutants import faults

REQUESTS = 'envoy_http_downstream_rq_xx{envoy_http_conn_manager_prefix="inside"'


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What promtool says of each alert with its mutants, from one run over all of them."""
    folder = tmp_path_factory.mktemp("rules")
    files = {tables.write(folder, case): case.key for case in tables.cases()}
    return {files[file]: words for file, words in promtool.test_rules(list(files)).items()}


def test_every_alert_has_a_table_and_every_table_an_alert() -> None:
    assert {case.key for case in tables.cases()} == {a.key for g in tables.groups() for a in g.alerts}


def test_every_table_says_what_the_alert_says() -> None:
    assert [case.key for case in tables.cases() if not case.entry.get("says")] == []


@pytest.mark.parametrize("case", tables.cases(), ids=lambda case: case.key)
def test_an_alert_answers_as_its_table_says(case: tables.Case, said: dict[str, str]) -> None:
    words = said[case.key]
    assert not words or tables.complaints(words), words  # a file that promtool could not read
    assert case.alert.name not in tables.complaints(words), words


@pytest.mark.parametrize("case", tables.cases(), ids=lambda case: case.key)
def test_a_fault_in_a_rule_is_noticed(case: tables.Case, said: dict[str, str]) -> None:
    noticed = tables.complaints(said[case.key])
    assert [mutant.fault for mutant in case.mutants if mutant.alert.name not in noticed] == []


def test_faults_that_are_excused_are_faults_of_the_rule() -> None:
    for case in tables.cases():
        known = {fault for fault, _ in faults(case.alert.expr)}
        assert set(case.entry.get("equivalent", {})) <= known, case.key


def test_records_of_availability_count_errors_over_their_window(tmp_path: Path) -> None:
    """All windows of both ways to look: 1 % of requests fail, one probe of two fails."""
    group = next(group for group in tables.groups() if group.name == "slo")
    (tmp_path / "slo.yml").write_text(render.document(group))
    samples = [
        ({"sli": "requests"}, f'{REQUESTS},envoy_response_code_class="2"}}', "0+990x80", 0.01),
        ({"sli": "requests"}, f'{REQUESTS},envoy_response_code_class="5"}}', "0+10x80", 0.01),
        ({"sli": "probes"}, 'probe_success{scope="gateway",instance="a"}', "1+0x80", 0.5),
        ({"sli": "probes"}, 'probe_success{scope="gateway",instance="b"}', "0+0x80", 0.5),
        ({"sli": "probes"}, 'probe_success{scope="site",instance="c"}', "0+0x80", 0.5),
    ]
    names = {record.name for record in group.records if "errors" in record.name}
    assert len(names) == 7
    expected = {(labels["sli"], value) for labels, _, _, value in samples}
    long = [name for name in names if name.rpartition("_")[2] in ("6h", "1d", "3d")]
    asked = [
        {
            "expr": f'round({name}{{sli="{sli}"}}, 0.0001)',
            "eval_time": "72h",
            "exp_samples": [{"labels": f'{{sli="{sli}"}}', "value": value}],
        }
        for name in long
        for sli, value in expected
    ]
    file = tables.values_file(
        tmp_path, "slo.yml", "1h", [(series, values) for _, series, values, _ in samples], asked
    )
    assert promtool.test_rules([file]) == {file: ""}


@pytest.fixture(scope="module", autouse=True)
def _recorded(said: dict[str, str]) -> None:
    noticed = {case.key: tables.complaints(said[case.key]) for case in tables.cases()}
    passed = sum(case.alert.name not in noticed[case.key] for case in tables.cases())
    planted = [(case.key, mutant) for case in tables.cases() for mutant in case.mutants]
    caught = sum(mutant.alert.name in noticed[key] for key, mutant in planted)
    questions = sum(len(tables.tests(case)) for case in tables.cases())
    command = "pytest tests/unit/test_monitoring_rules.py"
    evidence.record(
        "lab",
        "monitoring.rules.alerts",
        f"Alerts whose unit tests pass ({questions} questions, promtool)",
        passed,
        unit="alerts",
        goal=f"== {len(tables.cases())}",
        proved_on="program",
        command=command,
    )
    evidence.record(
        "lab",
        "monitoring.rules.mutants",
        f"Faults planted in rules that the unit tests notice, of {len(planted)}",
        caught,
        unit="faults",
        goal=f"== {len(planted)}",
        proved_on="program",
        command=command,
    )
