#!/usr/bin/python
"""Reads the LUKS header of a storage tier, or notes that the controller holds it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: storage_header
short_description: Read the LUKS header of a storage tier for its backup
description:
  - Used by the action C(storage_header_backup). With O(digest) it notes that the controller holds that
    header.
options:
  tier: {description: Name of an encrypted tier, type: str, required: true}
  digest: {description: SHA-256 of the header that is safe now, type: str}
  state:
    description: Folder of the records of module storage_tiers
    type: path
    default: /var/lib/bedplate/storage_tiers
author: [Bedplate]
"""

EXAMPLES = r"""
- name: Read the header
  storage_header:
    tier: warm
"""

RETURN = r"""
content: {description: The header in base64, type: str, returned: without digest}
"""

import base64
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.storage_tiers import headers
from ansible.module_utils.storage_tiers.observe import Places

ARGUMENTS = {
    "tier": {"type": "str", "required": True},
    "digest": {"type": "str"},
    "state": {"type": "path", "default": str(Places.state)},
}


def main():
    """Entry point."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=False)
    tier, digest = module.params["tier"], module.params["digest"]
    places = Places(state=Path(module.params["state"]))
    try:
        if digest:
            headers.done(tier, digest, places)
            module.exit_json(changed=True)
        module.exit_json(changed=False, content=base64.b64encode(headers.backup(tier, places)).decode())
    except (ValueError, OSError) as problem:
        module.fail_json(msg=str(problem))


if __name__ == "__main__":
    main()
