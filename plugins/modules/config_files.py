#!/usr/bin/python
"""Writes several configuration files in one round trip: all of them, or none when one is not valid."""

DOCUMENTATION = r"""
module: config_files
short_description: Write several configuration files in one round trip
description:
  - Brings many small files to the wanted content, mode and owner with one call, because on a busy host every
    task costs seconds.
  - Every O(files[].validate) runs before the first file is written, so an invalid file changes nothing.
    In check mode a judge that is not installed yet is not asked.
  - Supports check mode and diff.
author: [Bedplate]
options:
  files:
    description: The files.
    type: list
    elements: dict
    required: true
    suboptions:
      path: {description: Absolute path. Missing folders are made., type: path, required: true}
      content: {description: What the file holds. Without it the file is removed., type: str}
      mode: {description: "Octal mode. Default 0644, or as it is for a block.", type: str}
      owner: {description: Name or number of the owner., type: str, default: root}
      group: {description: Name or number of the group., type: str, default: root}
      validate: {description: "Command that must accept the new file, with %s for its path.", type: str}
      block: {description: Only the part between two marker lines with this name is ours., type: str}
"""

EXAMPLES = r"""
- name: Configure time
  config_files:
    files:
      - path: /etc/chrony/chrony.conf
        content: "{{ lookup('ansible.builtin.template', 'chrony.conf.j2') }}"
      - path: /etc/sudoers.d/operators
        content: "%operators ALL=(ALL) ALL\n"
        mode: "0440"
        validate: visudo -cf %s
"""

RETURN = r"""
paths:
  description: Files that were written or removed (in check mode - would be).
  type: list
  elements: str
  returned: always
"""

import grp
import os
import pwd
import shlex
import shutil
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.config_files import plan, refusals

PROGRAMS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
FILE = {
    "path": {"type": "path", "required": True},
    "content": {"type": "str"},
    "mode": {"type": "str"},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "validate": {"type": "str"},
    "block": {"type": "str"},
}


def observe(path):
    """The file as it is, or None."""
    try:
        with Path(path).open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            content = file.read()
            status = os.fstat(file.fileno())
    except FileNotFoundError:
        return None
    return {
        "content": content,
        "mode": f"{status.st_mode & 0o7777:04o}",
        "owner": _name(pwd.getpwuid, status.st_uid),
        "group": _name(grp.getgrgid, status.st_gid),
    }


def _name(lookup, number):
    try:
        return lookup(number)[0]
    except KeyError:
        return str(number)


def stage(module, write):
    """Write the new content beside its place and let its own programs judge it; returns its path there."""
    descriptor, temporary = tempfile.mkstemp(dir=module.tmpdir)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.write(write.after)
    for words in write.validate:
        command = [part.replace("%s", temporary) for part in shlex.split(words)]
        if module.check_mode and not shutil.which(command[0], path=PROGRAMS):
            continue
        code, out, err = module.run_command(command)
        if code != 0:
            reason = (err or out).strip().replace(temporary, write.path)
            module.fail_json(
                msg=f"{write.path} would not be valid, nothing was changed: {reason}", path=write.path
            )
    return temporary


def apply(module, writes):
    """Stage everything first, then put it in place: what can fail fails before the first file is touched."""
    staged = [(write, stage(module, write) if write.after is not None else None) for write in writes]
    if module.check_mode:
        return  # owners are not asked for: a package or a task of this very run may bring them
    for write, temporary in staged:
        if temporary is not None:
            _permit(temporary, write)
    for write, temporary in staged:
        if temporary is None:
            Path(write.path).unlink()
            continue
        Path(write.path).parent.mkdir(parents=True, exist_ok=True)
        # atomic_move gives the new file the old one's mode and owner, so both are set again
        module.atomic_move(temporary, write.path, unsafe_writes=True)
        _permit(write.path, write)


def _permit(path, write):
    os.chown(path, _number(pwd.getpwnam, write.owner), _number(grp.getgrnam, write.group))
    Path(path).chmod(int(write.mode, 8))


def _number(lookup, name):
    """Id of a user or group, given by name or by number."""
    return int(name) if name.isdigit() else lookup(name)[2]


def _named(lookup, owner):
    """A number as its name, as observed files have it."""
    return _name(lookup, int(owner)) if owner.isdigit() else owner


def _printable(text):
    """Ansible's answer is UTF-8, and a file of old need not be."""
    return (text or "").encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def main():
    """Observe, plan, apply."""
    module = AnsibleModule(
        argument_spec={"files": {"type": "list", "elements": "dict", "required": True, "options": FILE}},
        supports_check_mode=True,
    )
    files = module.params["files"]
    wrong = refusals(files)
    if wrong:
        module.fail_json(msg="Nothing was changed: " + "; ".join(wrong))
    for file in files:
        file["owner"], file["group"] = (
            _named(pwd.getpwuid, file["owner"]),
            _named(grp.getgrgid, file["group"]),
        )
    try:
        writes = plan(files, {file["path"]: observe(file["path"]) for file in files})
        apply(module, writes)
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}", path=error.filename)
    except KeyError as error:  # the password database has no such name
        module.fail_json(msg=error.args[0])
    module.exit_json(
        changed=bool(writes),
        paths=[write.path for write in writes],
        diff=[
            {
                "before": _printable(write.before),
                "after": _printable(write.after),
                "before_header": write.path,
                "after_header": f"{write.path} (mode {write.mode})",
            }
            for write in writes
        ],
    )


if __name__ == "__main__":
    main()
