#!/usr/bin/python3
"""Follows the chain of an archive of audit records. Prints JSON; ends with 1 when it is broken."""

import argparse
import json
import sys
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

import audit_chain


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--keep-days", type=int, required=True, help="files this young must be there")
    parser.add_argument("--known", default="", help="SEQ:HASH, the head of an earlier verification")
    options = parser.parse_args()
    known = audit_chain.Head.parse(options.known) if options.known else None
    today = datetime.now(timezone.utc).date()
    verdict = audit_chain.verify_folder(options.folder, options.keep_days, today, known)
    json.dump(asdict(verdict) | {"records": verdict.records}, sys.stdout)
    sys.exit(0 if verdict.broken is None else 1)


if __name__ == "__main__":
    main()
