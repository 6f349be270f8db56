"""docs/secrets.md says who holds which secret; a change of who holds one is a change of that page."""

from bedplate import secret_table
from bedplate.secret_table import Held, held, page
from tests.secret_table import document

POD = {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "both", "key": "one"}}}]}
OBJECTS = [
    {
        "kind": "Secret",
        "metadata": {"namespace": "dify", "name": "both"},
        "stringData": {"one": "redis://x:stack:first@host", "two": "stack:second"},
    },
    {
        "kind": "Deployment",
        "metadata": {"namespace": "dify", "name": "api"},
        "spec": {"template": {"spec": {"containers": [POD]}}},
    },
    {
        "kind": "Job",
        "metadata": {"namespace": "dify", "name": "job-0a1b2c3d"},
        "spec": {"template": {"spec": {"containers": [], "volumes": [{"secret": {"secretName": "both"}}]}}},
    },
]
CATALOGUE = {name: {"bytes": 24, "purpose": f"the {name}"} for name in ("first", "second", "third")}


def test_a_variable_is_one_key_and_a_mount_is_all() -> None:
    assert held(OBJECTS) == {Held("dify/api", "first"), Held("dify/job", "first"), Held("dify/job", "second")}


def test_what_nobody_holds_is_said() -> None:
    assert "| third | made: 24 bytes of chance | the third | nobody |" in page(held(OBJECTS), CATALOGUE)
    assert "| first | made: 24 bytes of chance | the first | dify/api, dify/job |" in page(
        held(OBJECTS), CATALOGUE
    )


def test_the_page_is_what_would_be_sent() -> None:
    """`python -m tests.secret_table` writes it anew."""
    assert secret_table.FILE.read_text() == document()
