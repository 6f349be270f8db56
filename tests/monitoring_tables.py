"""Unit tests of alert rules from tables (tests/monitoring_cases/), run by promtool.

A table has one entry per alert, `NAME/SEVERITY`:
  series    `SERIES FIRES | BELOW`: values where the alert must fire, and the nearest ones where it must not;
            a series without a bar is the same in both, `-` leaves it out. Values are a number (constant) or
            what promtool takes, with `~` for as long as the test lasts: `0+10x~`
  labels    of the alert when it fires; `says` is its summary
  from      steps until the expression is true for the first time (0; 1 where a value contains `~`)
  interval  of samples and evaluations (1m)
  absent    silent, or fires: what the rule must do without the series that have a bar (`absent says`: then)
  silent    further cases, by what they mean, in which it must not fire;  also fires: one in which it must
  dip       false where a short recovery cannot be told (a rule over a long window)
  always    true for the one rule that always fires
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from bedplate.monitoring import catalogue, thresholds
from bedplate.monitoring.model import Alert, Group, Record
from tests.monitoring_mutants import Mutant, mutants

FOLDER = Path(__file__).with_name("monitoring_cases")
NAMED = re.compile(r'alertname(?:: |=\\?")(\w+)')  # in promtool's complaints
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LEFT_OUT = "-"


@dataclass(frozen=True)
class Case:
    """One entry of a table."""

    key: str
    entry: dict[str, Any]
    alert: Alert
    records: tuple[Record, ...]

    @property
    def interval(self) -> int:
        return seconds(self.entry.get("interval", "1m"))

    @property
    def wait(self) -> int:
        """Steps that the alert must be pending."""
        return math.ceil(seconds(self.alert.wait) / self.interval)

    @property
    def start(self) -> int:
        moving = any("~" in text for text in self.entry["series"])
        return int(self.entry.get("from", 1 if moving else 0))

    @property
    def fires_at(self) -> int:
        return self.start + self.wait

    @property
    def mutants(self) -> list[Mutant]:
        """The rule with faults, less those that change nothing (`equivalent`: why)."""
        longer = f"{(self.wait + 1) * self.interval}s"
        known = self.entry.get("equivalent", {})
        return [m for m in mutants(self.alert, self.records, longer) if m.fault not in known]


@cache
def groups() -> tuple[Group, ...]:
    """Every group with the thresholds that all environments share."""
    return catalogue.groups(thresholds.written(yaml.safe_load(thresholds.FILE.read_text())))


@cache
def cases() -> tuple[Case, ...]:
    """Every entry of every table, with the rule that it is about."""
    alerts = {alert.key: alert for group in groups() for alert in group.alerts}
    records = {record.name: record for group in groups() for record in group.records}
    found = []
    for file in sorted(FOLDER.glob("*.yml")):
        for key, entry in yaml.safe_load(file.read_text()).items():
            found.append(Case(key, entry, alerts[key], tuple(_needed(alerts[key].expr, records))))
    return tuple(found)


def all_records() -> tuple[Record, ...]:
    return tuple(record for group in groups() for record in group.records)


def _needed(expr: str, records: dict[str, Record]) -> Iterator[Record]:
    for name in dict.fromkeys(re.findall(r"bedplate:\w+:\w+", expr)):
        if name in records and not name.startswith("bedplate:slo"):
            yield records[name]


def seconds(duration: str) -> int:
    return sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)([smhd])", duration))


def tests(case: Case) -> list[dict[str, Any]]:
    """The promtool tests of one entry."""
    lines = [Line.parse(text) for text in case.entry["series"]]
    fires, end = [line.fires for line in lines], case.fires_at
    found = [_test(case, "fires", fires, end, fires=True)]
    if case.entry.get("always"):
        return found
    if case.wait:
        found[0]["alert_rule_test"] += _test(case, "waits", fires, end - 1)["alert_rule_test"]
    # Later than the alert would fire: rates take a while to become exact.
    found.append(_test(case, "just below", [line.below for line in lines], end + 2 * case.start + case.wait))
    found.append(_absent(case, lines, end))
    for name, series in case.entry.get("silent", {}).items():
        found.append(_test(case, name, [Line.parse(text).fires for text in series], end + case.wait))
    if "also fires" in case.entry:
        more = [Line.parse(text).fires for text in case.entry["also fires"]]
        found.append(_test(case, "also fires", more, end, fires=True, said=False))
    return found + _dips(case, lines)


def fires_on_absence(case: Case) -> bool:
    return bool(case.entry.get("absent") == "fires")


def _absent(case: Case, lines: Sequence["Line"], end: int) -> dict[str, Any]:
    gone = {line.metric for line in lines if line.barred} - ({"up"} if fires_on_absence(case) else set())
    rest = [line.fires for line in lines if not line.barred and line.metric not in gone]
    fires = fires_on_absence(case)
    says = case.entry.get("absent says", "")
    return _test(case, "absent", rest, end, fires=fires, said=bool(says), says=says)


def _dips(case: Case, lines: Sequence["Line"]) -> list[dict[str, Any]]:
    constant = all(line.constant for line in lines)
    if not (case.wait and constant and case.entry.get("dip", True)):
        return []
    n = case.wait
    series = [
        (line.name, " ".join((_held(line.fires[1], n), _held(line.below[1], 1), _held(line.fires[1], n))))
        for line in lines
    ]
    return [_test(case, "does not flap", series, 2 * n)]


def _held(text: str, samples: int) -> str:
    """A constant for a number of samples; `_` is a sample that is not there."""
    return f"_x{samples}" if text == LEFT_OUT else f"{text}+0x{samples - 1}"


@dataclass(frozen=True)
class Line:
    """One series of an entry: its name, and its values in both cases."""

    name: str
    fires: tuple[str, str]
    below: tuple[str, str]
    barred: bool

    @classmethod
    def parse(cls, text: str) -> "Line":
        end = text.index("}") + 1 if "{" in text else text.index(" ")
        name, values = text[:end], text[end:].split("|")
        fires, below = values[0].strip(), values[-1].strip()
        return cls(name, (name, fires), (name, below), len(values) > 1)

    @property
    def metric(self) -> str:
        return self.name.partition("{")[0]

    @property
    def constant(self) -> bool:
        return not re.search(r"[x ]", self.fires[1] + self.below[1])


def _test(
    case: Case,
    name: str,
    series: Sequence[tuple[str, str]],
    step: int,
    *,
    fires: bool = False,
    said: bool = True,
    says: str = "",
) -> dict[str, Any]:
    """One promtool test that looks once, at ``step``. Where words do not matter, only the name is asked."""
    input_series = [{"series": n, "values": _values(v, step + 1)} for n, v in series if v.strip() != LEFT_OUT]
    at = f"{step * case.interval}s"
    test: dict[str, Any] = {"name": f"{case.key}: {name}", "interval": f"{case.interval}s"}
    test["input_series"] = input_series
    if fires and not said:
        query = f'count(ALERTS{{alertname="{case.alert.name}",alertstate="firing"}}) > bool 0'
        return test | {"promql_expr_test": [{"expr": query, "eval_time": at, "exp_samples": [{"value": 1}]}]}
    words = {"summary": says or case.entry.get("says", ""), "runbook": case.alert.runbook}
    labels = {"severity": case.alert.severity, "owner": case.alert.owner} | case.entry.get("labels", {})
    expected = [{"exp_labels": labels, "exp_annotations": words}] if fires else []
    looked = {"eval_time": at, "alertname": case.alert.name, "exp_alerts": expected}
    return test | {"alert_rule_test": [looked]}


def _values(text: str, steps: int) -> str:
    if re.fullmatch(r"-?[\d.]+", text):
        return f"{text}+0x{steps}"
    return text.replace("~", str(steps))


def write(folder: Path, case: Case) -> Path:
    """Rule file and test file of one entry; returns the test file. The mutants stand beside the rule and are
    asked the same questions: promtool names those that answer differently."""
    extra = [record for mutant in case.mutants for record in mutant.records]
    group = Group("g", (*case.records, *extra, case.alert, *(mutant.alert for mutant in case.mutants)))
    name = case.key.replace("/", "-")
    rules = folder / f"{name}.rules.yml"
    rules.write_text(yaml.dump({"groups": [group.as_group()]}, Dumper=yaml.CSafeDumper))
    body = {
        "rule_files": [rules.name],
        "evaluation_interval": f"{case.interval}s",
        "tests": [_asked_of_all(test, case) for test in tests(case)],
    }
    file = folder / f"{name}.test.yml"
    file.write_text(yaml.dump(body, Dumper=yaml.CSafeDumper))
    return file


def _asked_of_all(test: dict[str, Any], case: Case) -> dict[str, Any]:
    names = [case.alert.name, *(mutant.alert.name for mutant in case.mutants)]
    kind, part = (
        ("alert_rule_test", "alertname") if "alert_rule_test" in test else ("promql_expr_test", "expr")
    )
    asked = [
        question | {part: question[part].replace(case.alert.name, name)}
        for question in test[kind]
        for name in names
    ]
    return test | {kind: asked}


def complaints(text: str) -> set[str]:
    """Names of the alerts that promtool complains of."""
    return set(NAMED.findall(text))


def values_file(
    folder: Path,
    rules: str,
    interval: str,
    series: Sequence[tuple[str, str]],
    asked: Sequence[dict[str, Any]],
) -> Path:
    """A promtool file that asks for values of a rule file; returns its path."""
    test = {
        "interval": interval,
        "input_series": [{"series": name, "values": values} for name, values in series],
        "promql_expr_test": list(asked),
    }
    file = folder / f"{rules}.test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [rules], "evaluation_interval": interval, "tests": [test]}))
    return file
