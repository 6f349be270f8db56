"""Rules with one fault planted: what a unit test of the rule must notice.

Faults: another comparison, a threshold moved by a tenth (0 by one), `and`, `or`, `unless` exchanged, a label
matcher left out, no waiting, waiting longer; in the alert and in the recording rules that it reads.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bedplate.monitoring.model import Alert, Record

TOKEN = re.compile(
    r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|>=|<=|==|!=|>|<|[A-Za-z_:][\w:]*|\d+[smhd]|\d+(?:\.\d+)?(?:e[+-]?\d+)?|\s+|.',
    re.DOTALL,
)
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?")
COMPARISONS = {
    ">": (">=", "<"),
    ">=": (">", "<="),
    "<": ("<=", ">"),
    "<=": ("<", ">="),
    "==": ("!=",),
    "!=": ("==",),
}
OPERATORS = {"and": "or", "or": "and", "unless": "and"}
MATCHER = re.compile(r'\w+\s*(?:=~|!~|!=|=)\s*"[^"]*"')


@dataclass(frozen=True)
class Mutant:
    """An alert with a fault, the mutated records that it reads, and the fault in words."""

    fault: str
    alert: Alert
    records: tuple[Record, ...] = ()


def mutants(alert: Alert, records: Sequence[Record], longer: str) -> list[Mutant]:
    """Every mutant of an alert; ``longer`` is a time to wait that is too long."""
    found = [(fault, replace(alert, expr=expr), ()) for fault, expr in faults(alert.expr)]
    if alert.wait != "0m":
        found.append(("no waiting", replace(alert, wait="0m"), ()))
    found.append(("waits longer", replace(alert, wait=longer), ()))
    for record in records:
        for number, (fault, expr) in enumerate(faults(record.expr)):
            name = f"{record.name}_{alert.name}{number}".replace("-", "_")
            other = replace(alert, expr=alert.expr.replace(record.name, name))
            found.append((f"{record.name}: {fault}", other, (Record(name, expr),)))
    return [
        Mutant(fault, replace(mutant, name=f"{alert.name}Mutant{number}"), extra)
        for number, (fault, mutant, extra) in enumerate(found)
    ]


def faults(expr: str) -> Iterator[tuple[str, str]]:
    """Fault in words, and the expression with it."""
    tokens = TOKEN.findall(expr)
    for place, token in enumerate(tokens):
        for other in _others(token):
            changed = [*tokens[:place], other, *tokens[place + 1 :]]
            before = "".join(tokens[max(0, place - 6) : place]).replace("\n", " ").strip()
            yield f"{token} becomes {other} after …{before[-40:]}", "".join(changed)


def _others(token: str) -> Iterator[str]:
    if token in COMPARISONS:
        yield from COMPARISONS[token]
    elif token in OPERATORS:
        yield OPERATORS[token]
    elif NUMBER.fullmatch(token):
        number = float(token)
        yield from (f"{number * 1.1:.10g}", f"{number * 0.9:.10g}") if number else ("1", "-1")
    elif token.startswith("{"):
        matchers = MATCHER.findall(token)
        for left_out in matchers:
            yield "{" + ", ".join(m for m in matchers if m != left_out) + "}"
