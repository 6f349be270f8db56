#!/usr/bin/python3
"""Removes snapshots that need not be kept, on the server that holds the repositories.

The password of a repository comes on standard input and is written nowhere: the server can read no
backup, and no host can remove one. Prints {kept, removed, unclear}.
"""

import argparse
import json
import sys
from pathlib import Path

from backup import work
from backup.plan import Keep
from backup.problem import BackupError
from backup.restic import Restic


def main():
    """Keep what is to be kept of one repository."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("repository", type=Path)
    for name in ("daily", "weekly", "monthly"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--dry-run", action="store_true")
    asked = parser.parse_args()
    environment = {
        "RESTIC_REPOSITORY": str(asked.repository),
        "RESTIC_PASSWORD": sys.stdin.readline().strip(),
    }
    restic = Restic(environment, ("--no-cache",))
    try:
        if not (asked.repository / "config").is_file():
            print(json.dumps({"kept": 0, "removed": 0, "unclear": []}))
            return
        found = work.keep(
            restic, Keep(asked.daily, asked.weekly, asked.monthly), asked.repository, dry=asked.dry_run
        )
    except (BackupError, OSError) as error:
        sys.exit(f"{asked.repository.name}: {error}")
    unclear = [f"{one.host} {one.item} {one.id[:8]} says {one.time:%F %T}" for one in found.unclear]
    print(json.dumps({"kept": len(found.keep), "removed": len(found.remove), "unclear": unclear}))


if __name__ == "__main__":
    main()
