#!/usr/bin/python3
"""One of two sites: what its database is, and what makes it the one that takes writes, or the copy.

Exit codes: 0 done; 1 refused or failed, and why is said. The pieces lie beside it (package site_pair).
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from site_pair import buckets, config, metrics
from site_pair.database import Postgres
from site_pair.problem import SiteError

CONFIG = "/etc/bedplate/site/site.json"
GRANTS = Path(__file__).resolve().with_name("replication.sql")
ACTIONS = {
    "observe": "what this site is now",
    "peer": "what the other site says of itself",
    "guard": "may the database start? asked before every start",
    "fence": "stop the database and keep it from starting",
    "promote": "take writes",
    "follow": "become the other site's copy",
    "synchronous": "wait for the other site at every commit, as far as the configuration wants it",
    "alone": "go on without the other site, which did not take over",
    "begin": "the first time: take writes alone (--first), or become the copy of the site that does",
    "replicate": "bring the buckets here, if this site is the copy, and show how old everything is",
}


def arguments():
    """What can be asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, default=Path(CONFIG), help=f"else {CONFIG}")
    actions = parser.add_subparsers(dest="action", required=True)
    for name, text in ACTIONS.items():
        action = actions.add_parser(name, help=text)
        if name == "promote":
            action.add_argument("--at-least", type=int, default=0, help="place in the log that it must have")
        if name == "begin":
            action.add_argument("--first", action="store_true", help="nobody takes writes yet")
    return parser.parse_args()


def replicate(site, server):
    """Copy buckets while we are not the ones who write, and show where we stand. Once the other site has a
    copy again, commits wait for it again."""
    seen = server.observe()
    if seen.writes and seen.connected and seen.synchronous != site.synchronous:
        seen = server.paired()
    done = [] if seen.writes else buckets.replicate(site)
    if site.metrics:
        metrics.write(Path(site.metrics), metrics.render(seen, buckets.read(site)))
    bad = [f"{one.name}: {one.said}" for one in done if not one.ok]
    if bad:
        raise SiteError("; ".join(bad))
    return seen


def begin(site, server, first):
    """Nothing when it was done before."""
    begun = server.begin(first, GRANTS.read_text(encoding="utf-8"))
    print(json.dumps({"begun": begun}))


def do(asked):
    """Do it; what the site is then, if anybody wants to know."""
    site = config.parse(json.loads(asked.config.read_text(encoding="utf-8")))
    server = Postgres(site)
    special = {
        "promote": lambda: server.promote(asked.at_least),
        "synchronous": server.paired,
        "replicate": lambda: replicate(site, server),
        "begin": lambda: begin(site, server, asked.first),
    }
    return special.get(asked.action, getattr(server, asked.action, None))()


def main():
    """Do what is asked, and say what came of it."""
    try:
        seen = do(arguments())
    except (SiteError, OSError, ValueError) as error:
        sys.exit(str(error))
    if seen:
        print(json.dumps(asdict(seen)))


if __name__ == "__main__":
    main()
