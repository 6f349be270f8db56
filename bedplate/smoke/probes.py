"""How each kind of component is asked, as a client would. A probe returns what it saw in a few words, or
raises Broken; it leaves nothing behind."""

import asyncio
import secrets
import socket
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from bedplate import paths
from bedplate.api.valkey import Address as ValkeyAddress
from bedplate.api.valkey import Away, Failed, Valkey
from bedplate.smoke import postgresql
from bedplate.smoke.targets import Target
from bedplate.smoke.web import LOGS, PATIENCE, PODS, Address, Answer, Broken, ask, expect

sys.path.append(str(paths.MODULE_UTILS))

from model_store import sigv4

OK, NO_CONTENT, UNAUTHORIZED = 200, 204, 401
REFUSAL = "X-Squid-Error: ERR_ACCESS_DENIED"
KEY = "its key differs from the stack's: run `pulumi up`, which restarts what uses it"
OPEN = "anybody who reaches it may use it: ask for a key again (pulumi up)"
VARYING = 8  # length of a dimension that may have any
TOKENS = 4
DIMENSION = 4
Known = Mapping[str, str]
Probe = Callable[[Address, Known, Target], str]


def chat(address: Address, known: Known, target: Target) -> str:
    """A model answers, and only to who has the key."""
    question = {"role": "user", "content": "Say yes."}
    body = {"model": target.more["model"], "max_tokens": TOKENS, "messages": [question]}
    path, right = "/v1/chat/completions", {"Authorization": f"Bearer {known['key']}"}
    found = expect(ask(address, path, body, headers=right), OK, "a question", KEY).json()
    counted = found["usage"]["completion_tokens"]
    if not counted:
        raise Broken("it answers nothing", LOGS)
    if ask(address, path, body).status != UNAUTHORIZED:
        raise Broken("it answers without a key", OPEN)
    return f"{counted} tokens"


def triton(address: Address, _: Known, target: Target) -> str:
    """All models are ready, and the last one infers; one that makes texts is only asked if it is ready."""
    expect(ask(address, "/v2/health/ready"), OK, "whether its models are ready")
    name = target.more["name"]
    if "inputs" not in target.more:
        expect(ask(address, f"/v2/models/{name}/ready"), OK, f"whether {name} is ready")
        return f"{name} is ready"
    batched = bool(target.more.get("max_batch_size"))
    inputs = [_tensor(entry, batched) for entry in target.more["inputs"]]
    answer = expect(ask(address, f"/v2/models/{name}/infer", {"inputs": inputs}), OK, f"inference by {name}")
    outputs = answer.json()["outputs"]
    return f"{name}: {', '.join(o['name'] + ' ' + str(o['shape']) for o in outputs)}"


def _tensor(entry: Mapping[str, Any], batched: bool) -> dict[str, Any]:
    """A tensor that fits: ones, or a word."""
    shape = [1] * batched + [VARYING if size < 0 else size for size in entry["dims"]]
    count = 1
    for size in shape:
        count *= size
    kind = {"STRING": "BYTES"}.get(entry["type"], entry["type"])
    one: Any = {"BYTES": "smoke", "BOOL": True}.get(kind, 1)
    return {"name": entry["name"], "datatype": kind, "shape": shape, "data": [one] * count}


def s3(address: Address, known: Known, target: Target) -> str:
    """An object is put, read, and gone; a stranger gets nothing."""
    right = sigv4.Credentials(known["AWS_ACCESS_KEY_ID"], known["AWS_SECRET_ACCESS_KEY"], "us-east-1")
    path, content = (
        f"/{target.more['bucket']}/bedplate-smoke-{secrets.token_hex(8)}",
        secrets.token_bytes(1024),
    )

    def call(method: str, body: bytes = b"") -> Answer:
        now = datetime.now(UTC)
        signed = sigv4.headers(right, str(address), path, {}, now, method=method, body=body)
        return ask(address, path, method=method, headers=signed, raw=body if method == "PUT" else None)

    expect(call("PUT", content), OK, "putting an object", KEY)
    try:
        if expect(call("GET"), OK, "getting it").body != content:
            raise Broken("it gives back another object than was put", LOGS)
        if ask(address, path).status == OK:
            raise Broken("it gives objects to strangers", "its identities are not in force: see its Secret")
    finally:
        gone = call("DELETE")
    expect(gone, NO_CONTENT, "deleting it")
    return "put, got, deleted 1 KiB"


def sql(address: Address, known: Known, target: Target) -> str:
    """A log-in over verified TLS, and an answer."""
    login = postgresql.Login(
        user=known["PGUSER"],
        password=known["PGPASSWORD"],
        database=target.more["database"],
        host=target.more["host"],
        authority=known["ca.crt"],
    )
    return f"PostgreSQL {postgresql.select_one(address, login)}, TLS verified"


def valkey(address: Address, known: Known, _: Target) -> str:
    """A ping as a consumer; what consumers may not do is refused."""
    user, password = known["VALKEY_USER"], known["VALKEY_PASSWORD"]
    return asyncio.run(_valkey(ValkeyAddress(address.host, address.port, user, password)))


async def _valkey(address: ValkeyAddress) -> str:
    connection = Valkey(address)
    try:
        if await connection.command("PING") != b"PONG":
            raise Broken("a ping is not answered", LOGS)
        try:
            await connection.command("CONFIG", "GET", "requirepass")
        except Failed:
            return "PONG; CONFIG is refused"
        raise Broken("a consumer may read its configuration", "its ACL is not in force: see its Secret")
    except Failed as error:
        raise Broken(f"it refuses: {error}", KEY) from error
    except Away as error:
        raise Broken(f"no answer: {error}", PODS) from error


def milvus(address: Address, known: Known, target: Target) -> str:
    """A collection is made, filled, searched, and gone."""
    user, space = target.more["user"], target.more["database"]
    right = {"Authorization": f"Bearer {user}:{known['password']}"}
    named = {"dbName": space, "collectionName": f"bedplate_smoke_{secrets.token_hex(4)}"}

    def call(path: str, **more: Any) -> Any:
        found = expect(ask(address, f"/v2/vectordb/{path}", named | more, headers=right), OK, path).json()
        if found.get("code") != 0:
            raise Broken(f"{path}: {found.get('message', found)}", KEY)
        return found.get("data")

    call(
        "collections/create", dimension=DIMENSION, metricType="L2", idType="Int64", consistencyLevel="Strong"
    )
    try:
        rows = [{"id": n, "vector": [float(n)] * DIMENSION} for n in range(1, 9)]
        call("entities/insert", data=rows)
        wanted = {
            "data": [[5.0] * DIMENSION],
            "annsField": "vector",
            "limit": 1,
            "consistencyLevel": "Strong",
        }
        found = call("entities/search", **wanted)
        if [row["id"] for row in found] != [5]:
            raise Broken(f"it finds {found} instead of what was inserted", LOGS)
    finally:
        call("collections/drop")
    return "inserted 8, found the right one"


def dify(address: Address, _: Known, __: Target) -> str:
    """The API is well, and nobody else can make himself its first administrator."""
    version = expect(ask(address, "/health"), OK, "its health").json().get("version", "")
    step = expect(ask(address, "/console/api/setup"), OK, "whether it is set up").json()["step"]
    if step != "finished":
        raise Broken("it has no administrator yet", "read the log of job dify-setup in namespace dify")
    return f"{version} is set up".strip()


def sandbox(address: Address, known: Known, _: Target) -> str:
    """Code runs, and only for who has the key."""
    code = {"language": "python3", "code": "print(6 * 7)", "preload": "", "enable_network": False}
    path = "/v1/sandbox/run"
    found = expect(ask(address, path, code, headers={"X-Api-Key": known["key"]}), OK, "code", KEY).json()
    if (found.get("data") or {}).get("stdout", "").strip() != "42":
        raise Broken(f"code is not run: {found.get('message') or found.get('data')}", LOGS)
    if ask(address, path, code).status == OK:
        raise Broken("it runs code for anybody", OPEN)
    return "6 * 7 is 42"


def proxy(address: Address, _: Known, target: Target) -> str:
    """What must never be reached is refused by the proxy itself."""
    with socket.socket() as connection:
        connection.settimeout(PATIENCE)
        try:
            connection.connect((address.host, address.port))
            connection.sendall(f"GET {target.more['refused']} HTTP/1.0\r\n\r\n".encode())
            answer = connection.recv(4096).decode(errors="replace")
        except OSError as error:
            raise Broken(f"no answer: {error}", PODS) from error
    # A refusal of its own: what lies behind an address may refuse, too, once it is reached.
    if REFUSAL not in answer:
        line = answer.partition("\r\n")[0]
        raise Broken(f"{target.more['refused']} is answered with {line!r}", "its rules are not in force")
    return "the metadata address is refused"


def mlflow(address: Address, _: Known, target: Target) -> str:
    """It is well, and strangers see no experiments."""
    host = {"Host": target.more["host"]}
    expect(ask(address, "/health", headers=host), OK, "its health")
    path = "/api/2.0/mlflow/experiments/search?max_results=1"
    expect(ask(address, path, headers=host), UNAUTHORIZED, "a stranger's question", OPEN)
    return "well; strangers are refused"


def prometheus(address: Address, _: Known, __: Target) -> str:
    """It answers queries and knows whom it watches."""
    found = expect(ask(address, "/api/v1/query?query=up"), OK, "a query").json()["data"]["result"]
    up = sum(one["value"][1] == "1" for one in found)
    if not up:
        raise Broken("it watches nobody who answers", "look at its targets (Status, Targets)")
    return f"{up} of {len(found)} targets are up"


def grafana(address: Address, _: Known, __: Target) -> str:
    """It is well, and strangers see nothing."""
    health = expect(ask(address, "/api/health"), OK, "its health").json()
    expect(ask(address, "/api/search"), UNAUTHORIZED, "a stranger's question", OPEN)
    return f"{health.get('version', '')} database {health.get('database')}"


def page(address: Address, _: Known, target: Target) -> str:
    """A page comes."""
    expect(ask(address, target.more["path"]), OK, target.more["path"])
    return f"{target.more['path']} is served"


PROBES: Mapping[str, Probe] = {
    "chat": chat,
    "triton": triton,
    "s3": s3,
    "postgresql": sql,
    "valkey": valkey,
    "milvus": milvus,
    "dify": dify,
    "sandbox": sandbox,
    "proxy": proxy,
    "mlflow": mlflow,
    "prometheus": prometheus,
    "grafana": grafana,
    "page": page,
}
