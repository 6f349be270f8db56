"""Filter `htpasswd`: how a web server knows a credential."""

import base64
import hashlib
from typing import Any


def htpasswd(credential: str) -> str:
    """A credential of 40 random characters as an htpasswd file has it.

    SHA-1 without salt is right for these and no others: nothing can be guessed, and the file stays the same.
    """
    digest = hashlib.sha1(credential.encode(), usedforsecurity=False).digest()
    return "{SHA}" + base64.b64encode(digest).decode()


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """The filters of this file by name."""
        return {"htpasswd": htpasswd}
