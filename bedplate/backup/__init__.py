"""Backups, on the controller: the same pieces as on the hosts, which lie where Ansible finds them."""

import sys

from bedplate import paths

sys.path.append(str(paths.MODULE_UTILS))

from backup import plan, work

__all__ = ["plan", "work"]
