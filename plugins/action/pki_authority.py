"""Action `pki_authority`: what the authority in a folder of the controller lacks, and changes of its state.

Everything happens on the controller, in this process: no host is asked, no private key is read.
Options: ``folder``; ``days`` {root, intermediate, leaf, crl, root_crl}; and one of ``rotate`` (begin, switch,
finish; with ``confirm``) or ``revoke`` {name, serial, reason}. Returns ``actions`` (what must be made),
``active``, ``trusted``, ``issuer`` (PEM of the intermediate that signs), ``trust``, ``crl``, ``ends``, and
``entries`` (revocations).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from bedplate.errors import BedplateError
from bedplate.pki import rotation, store
from bedplate.pki.plan import Policy, plan


class ActionModule(ActionBase):
    """Observe, plan; the tasks that follow make what is planned."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """``changed`` when something must be made or the state has changed."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = self._task.args
        folder = Path(arguments["folder"])
        try:
            return {**result, **self._answer(folder, arguments)}
        except BedplateError as error:
            return {**result, "failed": True, "msg": f"{error}. {error.remedy}".strip()}

    def _answer(self, folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
        state, entries = store.state(folder), []
        check = self._task.check_mode
        if arguments.get("rotate"):
            state = rotation.step(folder, arguments["rotate"], arguments.get("confirm", ""))
            if not check and state != store.state(folder):
                store.write_state(folder, state)
        if arguments.get("revoke") and not check:
            entries = store.revoke(folder, **arguments["revoke"])
        days = {f"{name}_days": int(value) for name, value in arguments["days"].items()}
        found = {number: store.generation(folder, number) for number in state.trusted}
        planned = plan(state.trusted, found, store.revoked_serials(folder), Policy(**days), time.time())
        if planned.refusals:
            raise BedplateError("; ".join(planned.refusals))
        issuer = folder / str(state.active) / "intermediate.crt"
        return {
            "changed": bool(planned.actions or entries),
            "actions": [action.as_dict() for action in planned.actions],
            "warnings": list(planned.warnings),
            "active": state.active,
            "trusted": list(state.trusted),
            "issuer": issuer.read_text() if issuer.exists() else "",
            "trust": store.bundle(folder, ("root.crt", "intermediate.crt"), state.trusted),
            "crl": store.bundle(folder, ("root.crl", "intermediate.crl"), state.trusted),
            "ends": store.ends(folder, state.trusted),
            "entries": entries,
        }
