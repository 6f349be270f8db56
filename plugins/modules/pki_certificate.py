#!/usr/bin/python
"""Keys and certificates of a host: keys are made here and never leave, certificates are signed elsewhere."""

DOCUMENTATION = r"""
module: pki_certificate
short_description: Ask for the certificates that are due, and put signed ones in place
description:
  - Looks at O(folder)/NAME/live for every certificate. One that is missing, ends soon, does not fit its
    key, has other names or another issuer is due. For it a new key is made on the host, and a request
    returned.
  - Called again with O(signed), it puts key and certificate in place together, by one rename. The one
    before is kept. A run that was cut short goes on with the key that waits.
  - Needs the program openssl. Supports check mode.
author: [Bedplate]
options:
  folder: {description: Folder of the certificates., type: path, required: true}
  certificates:
    description: The certificates.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: Folder of the certificate., type: str, required: true}
      common_name: {description: Common name of its subject., type: str, required: true}
      names: {description: DNS names., type: list, elements: str, default: []}
      addresses: {description: IP addresses., type: list, elements: str, default: []}
      usage:
        description: Which side of a connection it is for.
        type: str
        choices: [server, client]
        default: server
      group: {description: Group that may read the key., type: str, default: root}
  issuer: {description: PEM of the authority that signs now; empty for none., type: str, default: ""}
  renew_days: {description: Days left before the end when a new one is asked for., type: int, required: true}
  curve: {description: Curve of new keys., type: str, choices: [P-256, P-384], default: P-256}
  signed: {description: Signed certificates in PEM by name; empty to ask., type: dict, default: {}}
"""

EXAMPLES = r"""
- name: Ask for what is due
  pki_certificate:
    folder: /etc/bedplate/pki
    certificates: [{name: server, common_name: gw1, names: [gw1.example.com]}]
    issuer: "{{ lookup('ansible.builtin.file', 'intermediate.crt') }}"
    renew_days: 20
"""

RETURN = r"""
certificates:
  description: Name, end (seconds since the epoch), why it is due, and the request, for every certificate.
  type: list
  elements: dict
  returned: always
"""

import grp
import os
import shutil
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pki_certificate import blocks, end, named, reasons, refusals, request_config

KEY, CHAIN, PENDING = "key.pem", "chain.pem", "pending.pem"
CERTIFICATE = {
    "name": {"type": "str", "required": True},
    "common_name": {"type": "str", "required": True},
    "names": {"type": "list", "elements": "str", "default": []},
    "addresses": {"type": "list", "elements": "str", "default": []},
    "usage": {"type": "str", "choices": ["server", "client"], "default": "server"},
    "group": {"type": "str", "default": "root"},
}


def openssl(module, *words, data=None):
    """What openssl prints; the module fails with what it complains about."""
    code, out, error = module.run_command(["openssl", *map(str, words)], data=data)
    if code != 0:
        module.fail_json(msg=f"openssl {words[0]}: {error.strip() or out.strip()}")
    return out


def observe(module, place):
    """The live certificate, or None."""
    chain = place / "live" / CHAIN
    if not chain.exists():
        return None
    said = openssl(module, "x509", "-in", chain, "-noout", "-enddate", "-ext", "subjectAltName", "-pubkey")
    key = place / "live" / KEY
    public = openssl(module, "pkey", "-in", key, "-pubout") if key.exists() else ""
    return {
        "chain": chain.read_text(),
        "names": named(said),
        "end": end(said),
        "key_fits": bool(public) and public.strip() in said,
    }


def ask(module, place, wanted):
    """A request by the key that waits, which is made unless there is one."""
    place.mkdir(parents=True, exist_ok=True, mode=0o755)
    pending = place / PENDING
    if not pending.exists():
        curve = f"ec_paramgen_curve:{module.params['curve']}"
        partial = pending.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_CREAT | os.O_WRONLY, 0o600))
        openssl(module, "genpkey", "-algorithm", "EC", "-pkeyopt", curve, "-out", partial)
        partial.chmod(0o600)
        partial.rename(pending)
    config = request_config(wanted)
    return openssl(module, "req", "-new", "-key", pending, "-config", "/dev/stdin", data=config)


def install(module, place, wanted, chain):
    """Key and certificate in one folder, which becomes the live one by one rename."""
    pending = place / PENDING
    public = openssl(module, "pkey", "-in", pending, "-pubout")
    said = openssl(module, "x509", "-noout", "-pubkey", "-serial", data=blocks(chain)[0] + "\n")
    if public.strip() not in said:
        module.fail_json(msg=f"certificate {wanted['name']}: what was signed is not the request of this host")
    serial = said.split("serial=")[1].split()[0].lower()
    new = place / serial
    new.mkdir(exist_ok=True, mode=0o755)
    (new / CHAIN).write_text(chain)
    pending.rename(new / KEY)  # 0600 since it was made
    if wanted["group"] != "root":
        os.chown(new / KEY, 0, grp.getgrnam(wanted["group"]).gr_gid)
        (new / KEY).chmod(0o640)
    os.sync()
    before = (place / "live").readlink().name if (place / "live").is_symlink() else ""
    link = place / ".live"
    link.unlink(missing_ok=True)
    link.symlink_to(serial)
    link.rename(place / "live")
    for old in place.iterdir():
        if old.is_dir() and not old.is_symlink() and old.name not in (serial, before):
            shutil.rmtree(old)


def main():
    """Observe, plan, ask or install."""
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "certificates": {"type": "list", "elements": "dict", "required": True, "options": CERTIFICATE},
            "issuer": {"type": "str", "default": ""},
            "renew_days": {"type": "int", "required": True},
            "curve": {"type": "str", "choices": ["P-256", "P-384"], "default": "P-256"},
            "signed": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    os.umask(0o022)
    wrong = refusals(module.params["certificates"])
    if wrong:
        module.fail_json(msg="Nothing was changed: " + "; ".join(wrong))
    answer = [_one(module, wanted) for wanted in module.params["certificates"]]
    module.exit_json(changed=any(one["due"] for one in answer), certificates=answer)


def _one(module, wanted):
    place = Path(module.params["folder"]) / wanted["name"]
    signed = module.params["signed"].get(wanted["name"])
    if signed:
        install(module, place, wanted, signed)
    found = observe(module, place)
    due = reasons(wanted, found, module.params["issuer"], module.params["renew_days"], time.time())
    request = ask(module, place, wanted) if due and not module.check_mode else ""
    return {"name": wanted["name"], "end": int(found["end"]) if found else 0, "due": due, "request": request}


if __name__ == "__main__":
    main()
