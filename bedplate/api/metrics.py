"""What Prometheus reads of the gate."""

from bedplate.api.gate import Gate


def render(gate: Gate) -> str:
    """In Prometheus' text format. Models and consumers are those of the policy, never what a client wrote."""
    decisions = sorted(gate.counters.decisions.items())
    lines = ["# TYPE gateway_decisions_total counter"]
    lines += [
        f'gateway_decisions_total{{model="{model}",consumer="{consumer}",code="{code}"}} {count}'
        for (model, consumer, code), count in decisions
    ]
    lines += [
        "# TYPE gateway_decision_seconds_total counter",
        f"gateway_decision_seconds_total {gate.counters.seconds:.6f}",
        "# TYPE gateway_unsettled_total counter",
        f"gateway_unsettled_total {gate.counters.unsettled}",
        "# TYPE gateway_withdrawn gauge",
    ]
    for served in gate.policy.models.values():
        lines += [
            f'gateway_withdrawn{{model="{served.name}",backend="{name}"}} {int(name in gate.withdrawn)}'
            for name in (backend.name for backend in served.backends if backend.canary)
        ]
    return "\n".join(lines) + "\n"
