"""Who uses the data services, and what of them: one table. Identities of the object store, roles and
databases of PostgreSQL, users of Valkey, network flows and the Secrets beside each consumer's pods follow."""

from collections.abc import Container, Mapping
from dataclasses import dataclass

import pulumi

from ai_platform import names
from ai_platform.manifest import Manifest
from ai_platform.secrets import Secrets
from ai_platform.settings import ObjectStore, Settings

READ = ("Read", "List")
WRITE = (*READ, "Write", "Tagging")
BROKER, CACHE = "valkey", "valkey-cache"
STORE, DATABASE = "s3", "postgresql"
AUTHORITY = "ca.crt"  # key of a consumer's Secret: who vouches for PostgreSQL's certificate
DATABASE_TLS = "postgresql-tls"  # stack secret: PostgreSQL's key and certificate
_CERTIFICATE = "-----BEGIN CERTIFICATE"


@dataclass(frozen=True)
class Grant:
    """What an identity may do in one bucket, in the object store's own words."""

    bucket: str
    actions: tuple[str, ...] = WRITE


@dataclass(frozen=True)
class Consumer:
    """One identity: pods with the labels ``apps`` in ``namespace``. ``databases`` belong to its role, which
    has its name, as have its S3 identity and its user of Valkey. ``valkey`` is the instance that it uses."""

    name: str
    namespace: str
    apps: tuple[str, ...]
    grants: tuple[Grant, ...] = ()
    databases: tuple[str, ...] = ()
    valkey: str = ""
    reads_everything: bool = False  # of PostgreSQL: a backup


CONSUMERS = (
    Consumer(
        "dify",
        names.DIFY,
        ("dify-api", "dify-worker", "dify-beat", "dify-migrate"),
        (Grant("dify"),),
        ("dify",),
        BROKER,
    ),
    Consumer(
        "dify-plugin",
        names.DIFY,
        ("dify-plugin-daemon", "dify-setup"),
        (Grant("dify-plugin"),),
        ("dify_plugin",),
        BROKER,
    ),
    Consumer(
        "milvus",
        names.MILVUS,
        ("milvus", "milvus-coordinator", "milvus-query", "milvus-data", "milvus-streaming"),
        (Grant("milvus"),),
    ),
    Consumer("mlflow", names.MLFLOW, ("mlflow",), (Grant("mlflow"),), ("mlflow", "mlflow_auth")),
    # What people put in is read only to whoever turns it into vectors; it remembers in a bucket of its own.
    Consumer(
        "knowledge",
        names.KNOWLEDGE,
        ("knowledge-sync",),
        (Grant("documents", READ), Grant("knowledge")),
    ),
    Consumer("logs", names.LOGS, ("loki",), (Grant("logs"),)),
    Consumer("models", names.SERVING, ("triton",), (Grant("models", READ),)),
    Consumer("gateway", names.GATEWAY, ("gateway",), valkey=CACHE),
    Consumer("filer", names.DATA, ("s3-filer",), databases=("filer",)),
    # Whose pods reach only what each of them backs up: those flows are the backups' own.
    Consumer(
        "backup",
        names.BACKUP,
        (),
        tuple(
            Grant(bucket, READ)
            for bucket in ("dify", "dify-plugin", "milvus", "mlflow", "documents", "knowledge", "models")
        ),
        reads_everything=True,
    ),
    # No pod of ours: the people and jobs of the site that bring models and documents.
    Consumer("publisher", names.DATA, (), (Grant("models"), Grant("documents"))),
)


def consumer(name: str) -> Consumer:
    """The consumer of this name; KeyError when there is none."""
    return {one.name: one for one in CONSUMERS}[name]


def buckets() -> tuple[str, ...]:
    """Every bucket that somebody writes, in order."""
    written = {g.bucket for c in CONSUMERS for g in c.grants if "Write" in g.actions}
    return tuple(sorted(written))


def databases() -> dict[str, str]:
    """Every database and the role that owns it."""
    return {database: role(one) for one in CONSUMERS for database in one.databases}


def s3_key(name: str) -> str:
    """Name of the stack's secret: an identity's secret key. Its access key is its name."""
    return f"s3-{name}-key"


def database_password(name: str) -> str:
    """Name of the stack's secret: a role's password."""
    return f"postgres-{name}-password"


def valkey_password(name: str) -> str:
    """Name of the stack's secret: a user's password."""
    return f"valkey-{name}-password"


def role(one: Consumer) -> str:
    """Its role in PostgreSQL; empty where it has none."""
    return one.name if one.databases or one.reads_everything else ""


def present(spaces: Container[str]) -> tuple[Consumer, ...]:
    """Consumers whose namespace this environment has (``spaces`` by name)."""
    return tuple(one for one in CONSUMERS if one.namespace in spaces)


def store(settings: Settings) -> ObjectStore:
    """Where S3 is; only asked where there is one."""
    assert settings.object_store is not None
    return settings.object_store


def endpoint(service: str, settings: Settings) -> str:
    """HOST:PORT inside the cluster of one of our data services."""
    port = {STORE: "s3", DATABASE: "postgresql"}.get(service, "valkey")
    return f"{service}.{names.DATA}.svc:{settings.ports[port]}"


def secret_name(service: str, one: Consumer) -> str:
    """Name of the Secret with a consumer's access to a service, in the consumer's namespace."""
    return f"{service}-{one.name}"


def access(one: Consumer, settings: Settings, secrets: Secrets) -> list[Manifest]:
    """The Secrets beside a consumer's pods: what it needs to reach what it may use, and nothing else."""
    found = []
    if one.grants and settings.object_store:
        identity = settings.object_store.access_keys.get(one.name, one.name)
        data = {"AWS_ACCESS_KEY_ID": identity, "AWS_SECRET_ACCESS_KEY": secrets.value(s3_key(one.name))}
        found.append(_secret(STORE, one, data))
    if settings.data and role(one):
        host, _, port = endpoint(DATABASE, settings).partition(":")
        data = {"PGHOST": host, "PGPORT": port, "PGUSER": role(one), "PGSSLMODE": "verify-full"}
        data |= {"PGPASSWORD": secrets.value(database_password(one.name))}
        data |= {AUTHORITY: certificate(secrets.value(DATABASE_TLS))}
        found.append(_secret(DATABASE, one, data))
    if settings.data and one.valkey:
        host, _, port = endpoint(one.valkey, settings).partition(":")
        data = {"VALKEY_HOST": host, "VALKEY_PORT": port, "VALKEY_USER": one.name}
        data |= {"VALKEY_PASSWORD": secrets.value(valkey_password(one.name))}
        found.append(_secret(one.valkey, one, data))
    return found


def generation(one: Consumer, secrets: Secrets) -> str:
    """Changes when a secret of the consumer is rotated: an annotation of its pods."""
    wanted = [s3_key(one.name)] if one.grants else []
    wanted += [database_password(one.name), DATABASE_TLS] if role(one) else []
    wanted += [valkey_password(one.name)] if one.valkey else []
    return ".".join(secrets.generation(name) for name in wanted)


def certificate(bundle: pulumi.Output[str]) -> pulumi.Output[str]:
    """The certificate of a stack secret that holds a key and its certificate."""
    return bundle.apply(lambda text: text[max(text.find(_CERTIFICATE), 0) :])


def private_key(bundle: pulumi.Output[str]) -> pulumi.Output[str]:
    """The key of such a secret."""
    return bundle.apply(lambda text: text.partition(_CERTIFICATE)[0])


def _secret(service: str, one: Consumer, data: Mapping[str, object]) -> Manifest:
    labels = names.labels(service, one.name)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": names.metadata(secret_name(service, one), one.namespace, labels=labels),
        "type": "Opaque",
        "stringData": dict(data),
    }
