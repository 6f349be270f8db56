#!/usr/bin/python
"""Documentation of action `pki_authority`, which runs on the controller (plugins/action/pki_authority.py)."""

DOCUMENTATION = r"""
module: pki_authority
short_description: Plan an authority on the controller, revoke, and rotate
description:
  - Reads the folder of an authority on the controller, says what must be made or signed anew, and changes
    which authority is trusted or who is revoked. No host is asked and no private key is read.
author: [Bedplate]
options:
  folder: {description: Folder of the authority., type: path, required: true}
  days: {description: "Days of life: root, intermediate, leaf, crl, root_crl.", type: dict, required: true}
  rotate: {description: "Step of a rotation: begin, switch or finish.", type: str}
  confirm: {description: Words that let a step cut somebody off., type: str}
  revoke: {description: "Whom to revoke: name, serial, reason.", type: dict}
"""

EXAMPLES = r"""
- name: Plan the authority
  pki_authority:
    folder: .bedplate/lab/pki
    days: {root: 3650, intermediate: 1095, leaf: 60, crl: 30, root_crl: 365}
"""

RETURN = r"""
actions: {description: What must be made or signed., type: list, returned: always}
issuer: {description: PEM of the intermediate that signs., type: str, returned: always}
"""
