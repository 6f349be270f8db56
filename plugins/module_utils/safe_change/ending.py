"""How a change ends that was armed and applied: what the host answers to the controller's new connections."""

from __future__ import annotations

from typing import Any

from . import session
from .transaction import Transaction

UNKNOWN = "The host knows nothing of this change; run the play again."


def answer(transaction: Transaction, asked: str) -> dict[str, Any]:
    """Confirm the change whose id is ``asked``: ``outcome`` confirmed, stale (the connection is older than
    the change), applying, or how it ended before. ``unknown`` where the host knows nothing of it.
    """
    said = transaction.pending()
    if said is None or said["id"] != asked:
        ended = transaction.outcome()
        return ended if ended.get("id") == asked else {"outcome": "unknown"}
    began, applied = session.began(), transaction.applied()
    if began is not None and applied is not None and began < applied:
        return {"outcome": "stale"}
    return {"outcome": "confirmed" if transaction.confirm() else "applying"}


def tell(module: Any, transaction: Transaction) -> None:
    """``answer`` as the result of a module whose argument ``transaction`` is the id."""
    said = answer(transaction, module.params["transaction"])
    if said["outcome"] == "unknown":
        module.fail_json(msg=UNKNOWN)
    module.exit_json(**said)


def end_earlier(transaction: Transaction, patience: int = 30) -> None:
    """A change of an earlier run that was never ended: a connection made since then confirms it, else the
    host takes it back, for which this waits ``patience`` seconds longer than that takes.
    """
    said = transaction.pending()
    if said is None:
        return
    began, applied = session.began(), transaction.applied()
    if began is not None and applied is not None and began > applied:
        transaction.confirm()
        return
    transaction.wait(said["rollback_after"] + patience)
