"""One run: look, plan, write, delete. It may end at any point; the next run goes on from what is there.

Environment: ORDERS (JSON: source, embedding, milvus, collection, chunk, overlap, and where the report goes),
MILVUS_PASSWORD, EMBEDDING_KEY, and AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY for a bucket. It exits with 0
when everything that can be read is in step, and writes what could not be read into its report."""

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from knowledge.collection import LONGEST_NAME, Collection, WrongCollection
from knowledge.embedding import Embedding, NoVectors
from knowledge.plan import Plan, fingerprint, plan
from knowledge.sources import Bucket, Source, Unavailable, source
from knowledge.texts import Unreadable, pieces, text


class Run:
    """The parts of one run and what it has to report."""

    def __init__(self, orders: Mapping[str, Any]) -> None:
        self.orders, wanted = orders, orders["embedding"]
        self.source: Source = source(orders["source"])
        self.embedding = Embedding(wanted["url"], wanted["model"], wanted["dimensions"])
        self.collection = Collection(
            orders["milvus"], orders["collection"], wanted["model"], wanted["dimensions"]
        )
        self.unreadable: dict[str, str] = {}
        self.done = {"written": 0, "pieces": 0, "deleted": 0}

    def all(self) -> Plan:
        """Documents that are gone go first: what was withdrawn is not found for longer than need be."""
        made = fingerprint(self.embedding.model, self.orders["chunk"], self.orders["overlap"])
        wanted = plan(self.source.documents(), self.collection.heads(), made)
        for name in wanted.delete:
            self.collection.delete(name)
            self.done["deleted"] += 1
        for name, version in wanted.tidy.items():
            self.collection.tidy(name, version)
        for name, version in wanted.write.items():
            self.one(name, version)
        return wanted

    def one(self, name: str, version: str) -> None:
        """A document that cannot be read keeps what was last read of it, and is reported."""
        try:
            if len(name.encode()) > LONGEST_NAME:
                raise Unreadable(f"its name is longer than {LONGEST_NAME} bytes")
            whole = text(name, self.source.read(name))
        except FileNotFoundError:
            return  # vanished since it was listed: the next run sees that
        except Unreadable as error:
            self.unreadable[name] = str(error)
            return
        found = pieces(name, whole, self.orders["chunk"], self.orders["overlap"])
        self.collection.write(name, version, found, self.embedding.vectors(found))
        self.done["written"] += 1
        self.done["pieces"] += len(found)

    def report(self, wanted: Plan) -> str:
        """What was done, and what people have to look at."""
        return json.dumps(self.done | {"kept": wanted.kept, "unreadable": self.unreadable}, sort_keys=True)


def main() -> int:
    """Exit code 1 where the source, the model or Milvus is away: nothing was concluded from its silence."""
    orders = json.loads(os.environ["ORDERS"])
    try:
        run = Run(orders)
        report = run.report(run.all())
        if isinstance(run.source, Bucket) and "report" in orders:
            run.source.write(orders["report"]["bucket"], orders["report"]["key"], report.encode())
    except (Unavailable, NoVectors, WrongCollection) as error:
        print(f"not done: {error}", file=sys.stderr)
        return 1
    print(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
