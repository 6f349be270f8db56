"""A real Milvus with our configuration, users and rights: what is acknowledged is there, what is nearest is
found, who may not is refused. Full size, with the memory of indexes: `scripts/bench_milvus.py`."""

import pytest

from bedplate import evidence
from tests.integration.milvus_proofs import ask, cut, hold
from tests.integration.milvus_server import FIRST, Milvus

PROOF = "proof:64"
SIZE = 4_000


def shown(name: str, claim: str, value: float, *, unit: str = "", goal: str = "== 0") -> None:
    """Written down, whatever it is."""
    command = "pytest tests/integration/test_milvus.py"
    evidence.record(
        "lab", f"data.milvus.{name}", claim, value, unit=unit, goal=goal, proved_on="program", command=command
    )


@pytest.fixture(scope="module", autouse=True)
def collection(milvus: Milvus) -> None:
    assert ask(milvus, "knowledge", "create", PROOF) == {}


def test_the_job_run_again_changes_nothing(milvus: Milvus) -> None:
    done = milvus.job()
    *changes, last = done.stdout.splitlines() or [""]
    shown("job", "Changes of the job of users and rights that is run again", len(changes), unit="changes")
    assert (done.returncode, changes, last) == (0, [], "Milvus is as it should be"), done.stderr


def test_what_is_nearest_is_found_after_a_restart(milvus: Milvus) -> None:
    [found] = hold(milvus, {"HNSW_1": SIZE}, 64)
    shown("restarted", f"Rows of {SIZE} that are missing after a restart", found.missing, unit="rows")
    claim = f"recall@10 of HNSW against brute force after a restart, {SIZE} rows of 64 dimensions"
    shown("recall", claim, round(found.recall, 4), goal=">= 0.95")
    assert found.missing == 0
    assert found.recall >= 0.95


def test_what_is_deleted_is_gone(milvus: Milvus) -> None:
    assert ask(milvus, "knowledge", "insert", PROOF, 500_000, 1000) == {}
    assert ask(milvus, "reader", "there", PROOF, 500_000, 1000) == {"missing": 0}
    assert ask(milvus, "knowledge", "delete", PROOF, 500_000, 400) == {"left": 0}
    assert ask(milvus, "reader", "there", PROOF, 500_000, 1000) == {"missing": 400}


@pytest.mark.parametrize(
    ("user", "what", "allowed"),
    [
        ("reader", "query", True),
        ("reader", "insert", False),
        ("reader", "delete", False),
        ("reader", "drop", False),
        ("reader", "create", False),
        ("reader", "user", False),
        ("knowledge", "drop", False),
        ("knowledge", "user", False),
        ("dify", "query", False),
    ],
)
def test_who_may_what(milvus: Milvus, user: str, what: str, allowed: bool) -> None:
    answer = ask(milvus, user, "attempt", PROOF, what)
    assert ("allowed" in answer) is allowed, answer


@pytest.mark.parametrize(
    ("user", "password"), [("root", "wrong"), ("root", FIRST), ("reader", "wrong"), ("nobody", "x")]
)
def test_who_is_not_known_is_refused(milvus: Milvus, user: str, password: str) -> None:
    assert "refused" in ask(milvus, user, "attempt", PROOF, "query", password=password)


def test_a_password_that_was_rotated_is_set_and_the_old_one_is_refused(milvus: Milvus) -> None:
    done = milvus.job(PASSWORD_READER="rotated-password")
    assert done.returncode == 0 and "reader: password set" in done.stdout, done.stdout + done.stderr
    assert "allowed" in ask(milvus, "reader", "attempt", PROOF, "query", password="rotated-password")
    assert "refused" in ask(milvus, "reader", "attempt", PROOF, "query")
    assert milvus.job().returncode == 0


def test_the_job_says_that_the_password_of_root_is_another(milvus: Milvus) -> None:
    done = milvus.job(PASSWORD_ROOT="of-another-milvus")
    assert done.returncode != 0 and "knows neither" in done.stderr


def test_what_was_acknowledged_survives_a_kill(milvus: Milvus) -> None:
    found = cut(milvus, PROOF, 1_000_000, 100)
    claim = f"Rows of {found['acknowledged']} acknowledged ones that kill -9 in mid insert loses"
    shown("killed", claim, found["missing"], unit="rows")
    assert found["acknowledged"] > 0
    assert found["missing"] == 0
