"""Action `storage_header_backup`: LUKS headers of a host into the controller's artifacts, encrypted with
Ansible Vault.

The header goes from the host's memory into the vault's encryption; neither side writes it down in clear.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultLib
from ansible.plugins.action import ActionBase

from bedplate.private_files import write_private

HOW = (
    "no vault password is configured on the controller, so the header is not backed up; without a backup a"
    " damaged header means that the data is gone. Give one with --vault-password-file or"
    " ANSIBLE_VAULT_PASSWORD_FILE and run with --tags storage_tiers"
)


class ActionModule(ActionBase):
    """Options: ``headers`` (as storage_tiers returns them), ``dest`` folder, ``state``, ``required``."""

    _requires_connection = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Back up every header that has changed; ``changed`` says whether one was written."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = self._task.args
        headers, folder = arguments["headers"], Path(arguments["dest"])
        vault: VaultLib = (
            self._loader._vault
        )  # what `ansible.builtin.copy` decrypts with; there is no public way
        if not vault.secrets:
            names = ", ".join(h["tier"] for h in headers)
            words = f"encrypted tiers {names}: {HOW}"
            key = "failed" if arguments.get("required") else "skipped"
            return {**result, key: True, "msg": words, **({} if key == "failed" else {"warnings": [words]})}
        written = []
        for header in headers:
            path = folder / f"luks-header-{header['tier']}.vault"
            if not self._task.check_mode:
                data = self._on_host(task_vars, arguments, tier=header["tier"])
                path.parent.mkdir(parents=True, exist_ok=True)
                write_private(path, vault.encrypt(base64.b64decode(data["content"])))
                self._on_host(task_vars, arguments, tier=header["tier"], digest=header["digest"])
            written.append(str(path))
        return {**result, "changed": bool(written), "files": written}

    def _on_host(self, task_vars: Any, arguments: dict[str, Any], **options: str) -> dict[str, Any]:
        options = {**options, "state": arguments["state"]}
        answer: dict[str, Any] = self._execute_module("storage_header", options, task_vars=task_vars)
        if answer.get("failed"):
            raise AnsibleError(f"the header of tier {options['tier']} could not be read: {answer.get('msg')}")
        return answer
