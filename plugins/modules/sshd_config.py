#!/usr/bin/python
"""Changes the SSH server's configuration such that nobody is shut out by it for good."""

DOCUMENTATION = r"""
module: sshd_config
short_description: Change the SSH server's configuration, confirmed by a new login
description:
  - sshd judges the whole configuration, with the wanted files in it, before any of them is written.
  - The change is armed on the host, then sshd is reloaded, which keeps every session. Unless the controller
    logs in anew in time, the host itself puts the old files back and reloads sshd again, also when it boots
    before that or when the controller is gone.
  - Without SSH (a container, the machine itself) there is no way in to lose, and nothing to confirm.
  - Supports check mode and diff.
author: [Bedplate]
options:
  state:
    description: C(present) configures; C(confirmed) ends an armed change.
    type: str
    choices: [present, confirmed]
    default: present
  files:
    description: Files of the configuration, and keys of those who log in. All belong to root.
    type: list
    elements: dict
    required: true
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      content: {description: What the file holds. Without it the file is removed., type: str}
      mode: {description: Octal mode., type: str, default: "0644"}
  who: {description: "What decides who may log in, for messages.", type: str, default: ""}
  folder: {description: Folder of C(sshd_config)., type: path, default: /etc/ssh}
  rollback_seconds: {description: When an unconfirmed change is taken back., type: int, default: 60}
  state_path: {description: Folder for what must be remembered on the host., type: path, required: true}
  transaction: {description: Set by the action plugin., type: str, default: ""}
"""

EXAMPLES = r"""
- name: Let in operators only
  sshd_config:
    files: [{path: /etc/ssh/sshd_config.d/00-operators.conf, content: "AllowGroups operators\n"}]
    who: the members of group operators
    state_path: /var/lib/bedplate
"""

RETURN = r"""
paths:
  description: Files that were changed (in check mode - would be).
  type: list
  elements: str
  returned: always
"""

import shutil
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.config_files import plan, refusals
from ansible.module_utils.safe_change import ending, scripts, session
from ansible.module_utils.safe_change.programs import runner
from ansible.module_utils.safe_change.transaction import Transaction
from ansible.module_utils.sshd_config import includes, relocated

NAME = "sshd"
MAIN = "sshd_config"
FILE = {
    "path": {"type": "path", "required": True},
    "content": {"type": "str"},
    "mode": {"type": "str", "default": "0644"},
}
SPEC = {
    "state": {"type": "str", "choices": ["present", "confirmed"], "default": "present"},
    "files": {"type": "list", "elements": "dict", "required": True, "options": FILE},
    "who": {"type": "str", "default": ""},
    "folder": {"type": "path", "default": "/etc/ssh"},
    "rollback_seconds": {"type": "int", "default": 60},
    "state_path": {"type": "path", "required": True},
    "transaction": {"type": "str", "default": ""},
}
RELOAD = ("systemctl", "try-reload-or-restart", "ssh.service")


def observe(path):
    """A file as the planner wants it, or None."""
    try:
        content = Path(path).read_text(encoding="utf-8", errors="surrogateescape")
        status = Path(path).stat()
    except FileNotFoundError:
        return None
    owners = {key: "root" if number == 0 else str(number) for key, number in _owners(status)}
    return {"content": content, "mode": f"{status.st_mode & 0o7777:04o}", **owners}


def _owners(status):
    return (("owner", status.st_uid), ("group", status.st_gid))


def judge(module, sshd, writes):
    """Fail unless sshd takes the whole configuration with ``writes`` in it."""
    folder = Path(module.params["folder"])
    after = {write.path: write.after for write in writes}
    main = folder / MAIN
    text = after.get(str(main)) or main.read_text(encoding="utf-8", errors="surrogateescape")
    dropins = [path for path, content in after.items() if content and Path(path).suffix == ".conf"]
    unread = [path for path in dropins if not includes(text, path, str(folder))]
    if unread:
        module.fail_json(
            msg=f"{main} does not read {unread[0]} before everything else, so it would have no effect. Make "
            f"`Include {folder}/{MAIN}.d/*.conf` its first line."
        )
    with tempfile.TemporaryDirectory(dir=module.tmpdir) as name:
        place = Path(name)
        for path in {str(main), *map(str, folder.glob(f"{MAIN}.d/*.conf")), *dropins}:
            content = after[path] if path in after else Path(path).read_text(encoding="utf-8")
            if content is not None:
                copy = place / Path(path).relative_to(folder)
                copy.parent.mkdir(exist_ok=True)
                copy.write_text(relocated(content, str(folder), name), encoding="utf-8")
        code, out, err = module.run_command([sshd, "-t", "-f", str(place / MAIN)])
        if code != 0:
            reason = (err or out).strip().replace(name, str(folder))
            module.fail_json(msg=f"sshd does not take the configuration, nothing was changed: {reason}")


def present(module, transaction):
    """Bring the files to what they should be, if they are not."""
    wrong = refusals(module.params["files"])
    if wrong:
        module.fail_json(msg="Nothing was changed: " + "; ".join(wrong))
    if not module.check_mode:
        ending.end_earlier(transaction)
    files = module.params["files"]
    writes = plan(files, {file["path"]: observe(file["path"]) for file in files})
    sshd = shutil.which("sshd", path="/usr/sbin:/sbin:/usr/local/sbin")
    if sshd is None and not module.check_mode:
        module.fail_json(msg="sshd is not installed: install package openssh-server")
    result = {"changed": bool(writes), "paths": [write.path for write in writes], "diff": _diff(writes)}
    if writes and sshd:
        # sshd -t wants it, and its service makes it only when it starts
        Path("/run/sshd").mkdir(exist_ok=True)
        judge(module, sshd, writes)
    if module.check_mode or not writes:
        module.exit_json(**result)
    _apply(module, transaction, sshd, writes, result)


def _apply(module, transaction, sshd, writes, result):
    """Arm, reload, and leave it to a new login of the controller to confirm."""
    who, seconds = module.params["who"], module.params["rollback_seconds"]
    tried = f"write {', '.join(result['paths'])} and reload SSH" + (
        f" ({who} decide who may log in)" if who else ""
    )
    reload = scripts.Step("reload SSH", (RELOAD,))
    change = scripts.Change(
        NAME,
        tuple(_file(write) for write in writes),
        (scripts.Step("let sshd judge the configuration", ((sshd, "-t"),)), reload),
        (reload,),
    )
    transaction.arm(change, {"id": module.params["transaction"], "tried": tried}, seconds)
    failed = transaction.apply()
    if failed:
        module.fail_json(
            msg=f"Tried: {tried}. The step `{failed}` failed, and everything is as it was before."
        )
    if not session.ssh_connection():
        transaction.confirm()
        module.exit_json(**result)
    folder = str(transaction.folder)
    module.exit_json(armed=True, tried=tried, rollback_after=seconds, folder=folder, **result)


def _file(write):
    now = observe(write.path)
    mode_before = now["mode"] if now else write.mode
    return scripts.File(write.path, write.before, write.after, write.mode, mode_before)


def _diff(writes):
    return [
        {
            "before": write.before or "",
            "after": write.after or "",
            "before_header": write.path,
            "after_header": f"{write.path} (mode {write.mode})",
        }
        for write in writes
    ]


def confirmed(module, transaction):
    """End an armed change, or say how it ended."""
    ending.tell(module, transaction)


def main():
    """Do what is asked."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    transaction = Transaction(runner(module), module.params["state_path"], NAME)
    try:
        {"present": present, "confirmed": confirmed}[module.params["state"]](module, transaction)
    except OSError as error:
        module.fail_json(msg=f"SSH is left as it is: {error}")


if __name__ == "__main__":
    main()
