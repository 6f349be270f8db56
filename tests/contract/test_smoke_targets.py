"""`bedplate smoke` knows components by name; the platform program makes them by name. Both mean the same."""

import pytest

from bedplate.smoke.targets import targets
from tests.rendered import ENVIRONMENTS, environment, inventory


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_component_that_is_asked_is_sent(env: str) -> None:
    objects = environment(env)
    services = {
        (o["metadata"]["namespace"], o["metadata"]["name"]): {p["port"] for p in o["spec"]["ports"]}
        for o in objects
        if o["kind"] == "Service"
    }
    asked = targets(inventory(env))
    assert len(asked) >= 3
    for target in asked:
        assert target.port in services[(target.namespace, target.service)], target.component


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_secret_that_a_probe_needs_is_sent(env: str) -> None:
    keys = {
        (o["metadata"]["namespace"], o["metadata"]["name"], key)
        for o in environment(env)
        if o["kind"] == "Secret"
        for key in o.get("stringData", {})
    }
    for target in targets(inventory(env)):
        for key in target.secrets.values():
            assert (key.namespace, key.name, key.key) in keys, target.component
