#!/usr/bin/python
"""Installs packages at exactly one version from one source, pinned and held, and never another kernel."""

DOCUMENTATION = r"""
module: pinned_packages
short_description: Packages at exactly one version, pinned and held
description:
  - Writes a package source with its key, pins packages, installs them in one transaction of apt and holds
    them once their versions agree.
  - Before anything is installed apt is asked what it would do. A plan that changes the kernel, or that
    removes packages which are not of O(family), is refused, and source and pins stay as they were.
  - What dpkg has left half done, because a run before was cut off, is finished first.
  - A key that is fetched needs its fingerprint; a source that does not verify is taken away again.
  - In check mode the diff lists every package that would change. Where the source is new its packages are not
    known yet, and only the wishes are listed.
author: [Bedplate]
options:
  name: {description: What belongs together; names the files., type: str, required: true}
  packages:
    description: Packages of one transaction.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: Name, type: str, required: true}
      version:
        description: Upstream version, or a pattern with C(*) over the whole version. Empty - any.
        type: str
        default: ""
      remedy: {description: What to do when no source has it., type: str, default: ""}
  pins:
    description: Versions that apt must choose for families of packages.
    type: list
    elements: dict
    default: []
    suboptions:
      packages: {description: Shell patterns of names, type: list, elements: str, required: true}
      version: {description: "Version, with C(*)", type: str, required: true}
  family:
    description: Shell patterns of packages that are held once installed, and that may be removed for others.
    type: list
    elements: str
    default: []
  source:
    description: Where the packages come from; without it, from what the host has.
    type: dict
    suboptions:
      name: {description: Names source and keyring, type: str, required: true}
      url: {description: Address, type: str, required: true}
      suite: {description: "Suite; one that ends in C(/) is flat", type: str, default: /}
      components: {description: Components, type: list, elements: str, default: []}
      key: {description: "Armoured key, or its address", type: str, default: ""}
      fingerprint: {description: Fingerprint of the key, type: str, default: ""}
"""

EXAMPLES = r"""
- name: Install the driver
  pinned_packages:
    name: nvidia-driver
    source: {name: nvidia, url: https://mirror.example.com/nvidia/debian12/x86_64, key: "{{ key }}"}
    packages: [{name: nvidia-open, version: 580.178.04}]
    pins: [{packages: ["nvidia-*", "libnvidia-*"], version: 580.178.04*}]
    family: ["nvidia-*", "libnvidia-*"]
"""

RETURN = r"""
changes:
  description: Packages that changed (in check mode - would change).
  type: list
  elements: str
  returned: always
held: {description: Packages that are held from now on., type: list, elements: str, returned: always}
"""

from fnmatch import fnmatchcase
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pinned_packages import host
from ansible.module_utils.pinned_packages.plan import Pin, Wish, choose, judge, lacking, preferences
from ansible.module_utils.pinned_packages.source import NotAKey, Source, render, wrong_key

PACKAGE = {
    "name": {"type": "str", "required": True},
    "version": {"type": "str", "default": ""},
    "remedy": {"type": "str", "default": ""},
}
PIN = {
    "packages": {"type": "list", "elements": "str", "required": True},
    "version": {"type": "str", "required": True},
}
SOURCE = {
    "name": {"type": "str", "required": True},
    "url": {"type": "str", "required": True},
    "suite": {"type": "str", "default": "/"},
    "components": {"type": "list", "elements": "str", "default": []},
    "key": {"type": "str", "default": "", "no_log": False},
    "fingerprint": {"type": "str", "default": ""},
}
SPEC = {
    "name": {"type": "str", "required": True},
    "packages": {"type": "list", "elements": "dict", "required": True, "options": PACKAGE},
    "pins": {"type": "list", "elements": "dict", "default": [], "options": PIN},
    "family": {"type": "list", "elements": "str", "default": []},
    "source": {"type": "dict", "options": SOURCE},
}
PLAIN = {"LANG": "C", "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}


class Refused(Exception):
    """Nothing was changed; the text says why and what to do."""


class Packages:
    """One call of the module."""

    def __init__(self, module):
        self.module = module
        given = module.params
        self.wishes = [Wish(**package) for package in given["packages"]]
        self.pins = preferences(
            given["name"], [Pin(tuple(p["packages"]), p["version"]) for p in given["pins"]]
        )
        self.pin_file = host.PREFERENCES / f"bedplate-{given['name']}"
        self.source = Source(**given["source"]) if given["source"] else None
        self.diff = []

    def run(self, command):
        """Run a program in plain English, without questions."""
        return self.module.run_command(list(command), environ_update=PLAIN)

    def source_files(self):
        """Files of the source that are not as wished: path to content. Raises Refused."""
        if self.source is None:
            return {}
        files = {Path(self.source.file): render(self.source).encode()}
        keyring = Path(self.source.keyring)
        if self.source.key:
            have = keyring.read_bytes() if keyring.exists() else b""
            known = bool(have and self.source.fingerprint) and not wrong_key(self.source, have)
            files[keyring] = have if known and not self.source.key_is_text else self.fetched()
        return {file: content for file, content in files.items() if self.content(file) != content}

    def fetched(self):
        """The key, once it is proved to be the right one. Raises Refused."""
        if not self.source.key_is_text and not self.source.fingerprint:
            raise Refused(
                f"the key {self.source.key} has no fingerprint to be known by; add it, or give the key itself"
            )
        try:
            key = host.key_of(self.source)
        except (OSError, NotAKey) as error:
            raise Refused(
                f"the key {self.source.key[:80]} cannot be read: {error}; give the key itself"
            ) from None
        wrong = wrong_key(self.source, key)
        if wrong:
            raise Refused(f"{wrong}; ask whoever runs {self.source.url}, and trust no other key")
        return key

    @staticmethod
    def content(file):
        """What a file holds, or None."""
        return file.read_bytes() if file.exists() else None

    def show(self, file, content):
        """Note a file for the diff."""
        before = self.content(file)
        shown = [None if data is None else data.decode("utf-8", "replace") for data in (before, content)]
        binary = file.suffix == ".gpg"
        self.diff.append(
            {
                "before_header": str(file),
                "after_header": str(file),
                "before": ("(a key)\n" if before else "") if binary else shown[0] or "",
                "after": "(the key)\n" if binary else shown[1] or "",
            }
        )

    def execute(self):
        """Observe, plan, apply: the result of the module."""
        files = self.source_files()
        for file, content in files.items():
            self.show(file, content)
        repin = (self.content(self.pin_file) or b"").decode() != self.pins
        if repin:
            self.show(self.pin_file, self.pins.encode())
        guarded = [*files, self.pin_file]
        if self.module.check_mode:
            return self.result(files, repin, *self.foreseen(bool(files)))
        with host.restored(*guarded):
            if files:
                for file, content in files.items():
                    host.write(file, content)
                host.update(self.run, self.source.file)
            chosen, changes = self.planned()
            if repin:
                self.repin()
        if chosen:
            host.install(self.run, chosen)
        return self.result(files, repin, changes, self.hold())

    def repin(self):
        """Write the pins, or take them away."""
        if self.pins:
            host.write(self.pin_file, self.pins.encode())
        else:
            self.pin_file.unlink(missing_ok=True)

    def planned(self):
        """Arguments for apt and what it would do with them. Raises Refused, AptError."""
        left = host.unfinished(self.run)
        if left and not self.module.check_mode:
            host.finish(self.run)
        told = [f"{name} half done -> finished" for name in left]
        have = host.installed(self.run)
        if not lacking(self.wishes, have):
            return [], told
        names = [wish.name for wish in self.wishes]
        chosen, refusals = choose(self.wishes, have, host.offered(self.run, names))
        if refusals and not self.module.check_mode:
            host.update(self.run)
            chosen, refusals = choose(self.wishes, have, host.offered(self.run, names))
        if refusals:
            raise Refused("\n".join(refusals))
        if not self.pins:
            chosen = host.with_needs(self.run, chosen)
        changes = host.simulate(self.run, chosen, self.pin_file, self.pins)
        refusals = judge(changes, self.wishes, self.module.params["family"], host.held(self.run))
        if refusals:
            raise Refused("\n".join(refusals))
        return chosen, [*told, *(str(change) for change in changes)]

    def foreseen(self, new_source):
        """Check mode: packages that would change, and those that would be held."""
        have = host.installed(self.run)
        if new_source:
            wanting = lacking(self.wishes, have)
            told = [
                f"{wish.name} {have.get(wish.name, 'none')} -> {wish.version or 'any'}" for wish in wanting
            ]
            if told:
                self.module.warn(
                    "the package source is new: packages that would come with these are not known yet"
                )
            return told, self.unheld(have)
        return self.planned()[1], self.unheld(have)

    def unheld(self, have):
        """Installed packages of the family, and wished ones, that are not on hold."""
        mine = {wish.name for wish in self.wishes if wish.version} | {
            name for name in have if any(fnmatchcase(name, p) for p in self.module.params["family"])
        }
        return sorted((mine & set(have)) - host.held(self.run))

    def hold(self):
        """Hold everything once the versions agree. Raises Refused."""
        have = host.installed(self.run)
        wrong = lacking(self.wishes, have)
        if wrong:
            told = ", ".join(f"{wish.name} is {have.get(wish.name, 'missing')}" for wish in wrong)
            raise Refused(f"after apt had finished {told}; nothing was put on hold")
        names = self.unheld(have)
        host.hold(self.run, names)
        return names

    def result(self, files, repin, changes, names):
        """What the module says."""
        if changes:
            listed = "\n".join(changes) + "\n"
            self.diff.append(
                {"before_header": "packages", "after_header": "packages", "before": "", "after": listed}
            )
        changed = bool(files or repin or changes or names)
        return {"changed": changed, "changes": changes, "held": names, "diff": self.diff}


def main():
    """Run the module."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    packages = Packages(module)
    try:
        module.exit_json(**packages.execute())
    except Refused as refusal:
        module.fail_json(msg=str(refusal))
    except host.AptError as error:
        module.fail_json(msg=f"apt failed: {error}")


if __name__ == "__main__":
    main()
