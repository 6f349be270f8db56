"""Databases, users and what each may do in Milvus, as they should be. Run again it changes nothing but
what somebody else changed: a password that no longer fits is set, a right that is too many is taken away.

Environment: GRANTS (the file that says it), MILVUS_PATIENCE (seconds for which a Milvus that is late is
waited for), MILVUS_FIRST_PASSWORD (root's at the very first start, where Milvus could not be told
another), and PASSWORD_<USER> for root and every user."""

import json
import os
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import grpc
from pymilvus import MilvusClient, MilvusException

ROOT, DEFAULT, EVERY = "root", "default", "*"
ADMIN = "admin"  # Milvus' own role, which may do everything
DATABASE, COLLECTION = "Global", "Collection"  # kinds of objects, in Milvus' words
SAY = 30.0
ANSWER = 20.0
Trouble = (MilvusException, grpc.RpcError)  # a refused log-in is the latter
Right = tuple[str, str, str, str]  # kind, name, right, database


def password(user: str) -> str:
    """From the environment, where the Secret puts it."""
    return os.environ[f"PASSWORD_{user.upper()}"]


def connect(address: str, user: str, word: str, database: str = "") -> MilvusClient:
    """A client that has been let in. One of Trouble where it was not."""
    client = MilvusClient(uri=address, user=user, password=word, db_name=database, timeout=ANSWER)
    try:
        client.list_collections()
    except Trouble:
        client.close()
        raise
    return client


def refused(error: BaseException) -> bool:
    """True where Milvus is there and does not know this password. The client says of that, too, that the
    server may be unavailable: only what was raised first tells them apart."""
    seen: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in seen:  # the client raises errors from themselves
        if isinstance(one, grpc.RpcError) and one.code() is grpc.StatusCode.UNAUTHENTICATED:
            return True
        seen.append(one)
        one = one.__cause__ or one.__context__
    text = str(error).lower()
    return "auth" in text or "password" in text


def enter(address: str, patience: float) -> MilvusClient:
    """Root's connection; waits for a Milvus that is late, gives up at once where the password is wrong."""
    end, said = time.monotonic() + patience, 0.0
    while True:
        try:
            return connect(address, ROOT, password(ROOT))
        except Trouble as error:
            if refused(error):
                return first(address)
            problem = str(error)
        if time.monotonic() > end:
            raise SystemExit(f"no Milvus at {address} after {patience:.0f} s: {problem[:200]}")
        if time.monotonic() - said > SAY:
            said = time.monotonic()
            print(f"waiting for {address}", flush=True)
        time.sleep(2)


def first(address: str) -> MilvusClient:
    """A Milvus that has just been made knows root by another password until now."""
    known = os.environ.get("MILVUS_FIRST_PASSWORD", "")
    if not known:
        raise SystemExit("Milvus does not know root's password: it was made with another; see docs/milvus.md")
    try:
        client = connect(address, ROOT, known)
    except Trouble as error:
        raise SystemExit(f"Milvus knows neither of root's passwords: {error}") from None
    client.update_password(ROOT, known, password(ROOT))
    client.close()
    print("root: password set")
    return connect(address, ROOT, password(ROOT))


def user(client: MilvusClient, address: str, name: str) -> None:
    """It is there, and its password is the one that it should have."""
    if name not in client.list_users():
        client.create_user(user_name=name, password=password(name))
        print(f"{name}: made")
        return
    try:
        connect(address, name, password(name)).close()
    except Trouble as error:
        if not refused(error):
            return  # let in; that it may list nothing here is another matter
        client.update_password(name, "", password(name))  # root is a super user: the old one is not asked
        print(f"{name}: password set")


def rights(entry: Mapping[str, Any]) -> set[Right]:
    """What a user's role should be allowed. A right of a database is held by Milvus as one of everything in
    it."""
    own = {(DATABASE, EVERY, right, entry["database"]) for right in entry["database_rights"]}
    return own | {(COLLECTION, EVERY, right, entry["database"]) for right in entry["collection_rights"]}


def role(client: MilvusClient, name: str, wanted: set[Right], databases: Iterable[str]) -> None:
    """The user's own role, of the same name, with exactly these rights."""
    if name not in client.list_roles():
        client.create_role(name)
        print(f"role {name}: made")
    there = granted(client, name, databases)
    for kind, what, right, database in sorted(wanted - there):
        client.grant_privilege(name, kind, right, what, db_name=database)
        print(f"role {name}: may {right} in {database}")
    for kind, what, right, database in sorted(there - wanted):
        client.revoke_privilege(name, kind, right, what, db_name=database)
        print(f"role {name}: no longer {right} in {database}")


def granted(client: MilvusClient, name: str, databases: Iterable[str]) -> set[Right]:
    """Every right of a role, over all databases."""
    found: set[Right] = set()
    for database in databases:
        for one in client.describe_role(name, db_name=database).get("privileges", []):
            found.add(
                (one["object_type"], one["object_name"], one["privilege"], one.get("db_name", database))
            )
    return found


def members(client: MilvusClient, name: str, wanted: set[str]) -> None:
    """The user has these roles and no other."""
    there = set(client.describe_user(name).get("roles", ()))
    for one in sorted(wanted - there):
        client.grant_role(name, one)
    for one in sorted(there - wanted - {"public"}):
        client.revoke_role(name, one)


def main() -> int:
    """All of it, in the order in which one needs the other. A Milvus that has much to do may fail to look a
    password up, and says that it is wrong: exit code 1, and the job's next try goes on."""
    try:
        everything()
    except Trouble as error:
        print(f"not done: {str(error)[:400]}", file=sys.stderr)
        return 1
    print("Milvus is as it should be")
    return 0


def everything() -> None:
    """Databases, then users, then what they may do."""
    wanted = json.loads(Path(os.environ["GRANTS"]).read_text())
    address = wanted["address"]
    client = enter(address, float(os.environ.get("MILVUS_PATIENCE", "900")))
    databases = {entry["database"] for entry in wanted["users"].values()}
    for database in sorted(databases - set(client.list_databases())):
        client.create_database(database)
        print(f"database {database}: made")
    everywhere = [*sorted(databases), DEFAULT]
    for name, entry in wanted["users"].items():
        user(client, address, name)
        role(client, name, rights(entry), everywhere)
        members(client, name, {name})
    for name in wanted["administrators"]:
        user(client, address, name)
        members(client, name, {ADMIN})
    for name in sorted(set(client.list_users()) - {ROOT, *wanted["users"], *wanted["administrators"]}):
        print(f"{name}: not ours, left alone")


if __name__ == "__main__":
    sys.exit(main())
