#!/usr/bin/python3
"""Backs up this host, drills its restores, and restores. The pieces lie beside it (package backup).

Exit codes: 0 all is well; 1 an item failed, differs or is broken; 3 nothing could be done.
"""

import argparse
import json
import sys
from pathlib import Path

from backup import plan, work
from backup.problem import BackupError

CONFIG = "/etc/bedplate/backup/backup.json"
FAILED, NOTHING_DONE = 1, 3


def arguments():
    """What can be asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default=CONFIG, help=f"else {CONFIG}")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    actions = parser.add_subparsers(dest="action", required=True)
    for name, text in (
        ("run", "back up now"),
        ("drill", "restore into a scratch place, compare, remove"),
        ("list", "list snapshots"),
    ):
        actions.add_parser(name, help=text).add_argument("items", nargs="*", help="names or kinds; else all")
    check = actions.add_parser("verify", help="read the repository and find what is broken")
    check.add_argument("--part", default="", help="a share of the bytes, such as 3/7; else all")
    restore = actions.add_parser("restore", help="bring an item back into a folder")
    restore.add_argument("item")
    restore.add_argument("--into", type=Path, required=True)
    restore.add_argument("--snapshot", default="", help="else the newest")
    restore.add_argument("--load", action="store_true", help="put it to use, where its kind can")
    return parser.parse_args()


def do(asked):
    """Do it; what was found (a list of documents), and whether all is well."""
    config = plan.parse(json.loads(Path(asked.config).read_text(encoding="utf-8")))
    if asked.action in ("run", "drill"):
        say = (lambda line: None) if asked.json else print
        results = getattr(work, asked.action)(config, asked.items, say)
        return [result.as_dict() for result in results], all(result.ok for result in results)
    if asked.action == "verify":
        broken = work.verify(config, asked.part)
        return [{"ok": False, "said": line} for line in broken] or [{"ok": True, "said": "whole"}], not broken
    if asked.action == "list":
        found = work.listing(config, asked.items)
        return [
            {"ok": True, "item": one.item, "said": f"{one.id[:8]} {one.time:%F %T} UTC"} for one in found
        ], True
    snapshot, said = work.restore(config, asked.item, asked.into, asked.snapshot, {} if asked.load else None)
    return [{"ok": True, "item": snapshot.item, "said": f"{snapshot.id[:8]}: {said}"}], True


def main():
    """Do what is asked, and say how it went."""
    asked = arguments()
    try:
        found, well = do(asked)
    except (BackupError, OSError, ValueError) as error:
        found, well = [{"ok": False, "said": str(error)}], None
    if asked.json:
        print(json.dumps(found))
    else:
        for one in found:
            print("✓" if one["ok"] else "✗", ": ".join(filter(None, [one.get("item"), one["said"]])))
    sys.exit(NOTHING_DONE if well is None else 0 if well else FAILED)


if __name__ == "__main__":
    main()
