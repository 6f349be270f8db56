"""Objects of the object store: SeaweedFS' masters, volume servers, filers and S3 gateways."""

import hashlib
import json
from collections.abc import Mapping

import pulumi

from ai_platform import consumers, data_parts, names, pods, scripts, waits
from ai_platform import monitoring_parts as parts
from ai_platform.data_flows import FILER, GRPC, MASTER, STORE, STORE_SETUP, VOLUME
from ai_platform.data_parts import environment, member, opaque, stateful
from ai_platform.data_settings import GIB
from ai_platform.manifest import Manifest
from ai_platform.monitoring_parts import MIB, Part
from ai_platform.secrets import Secrets
from ai_platform.settings import Settings
from bedplate import paths
from bedplate.monitoring import scrape

SETUP = "setup"  # the identity that makes buckets
GATE = "gate"  # the bucket in which the store is tried
IDENTITIES, FILER_STORE = "/etc/s3", "/etc/seaweedfs"
SIGNING = "s3-signing"
KEYS = {"WEED_JWT_SIGNING_KEY": "s3-volume-signing-key", "WEED_JWT_FILER_SIGNING_KEY": "s3-filer-signing-key"}
# Each bucket takes volumes of its own, seven at a time: a disk holds few large or many small ones.
VOLUMES_PER_DISK, LEAST_MB, MOST_MB = 200, 1024, 30_000
TRIES = 16  # writers that the gate lets loose on one key


def identities(keys: Mapping[str, str]) -> str:
    """The file of identities: who may do what in which bucket. ``keys`` are secret keys by identity."""
    rights = {
        one.name: [f"{action}:{grant.bucket}" for grant in one.grants for action in grant.actions]
        for one in consumers.CONSUMERS
        if one.grants
    }
    rights[SETUP] = [f"Admin:{bucket}" for bucket in (*consumers.buckets(), GATE)]
    return json.dumps(
        {
            "identities": [
                {"name": name, "credentials": [{"accessKey": name, "secretKey": keys[name]}], "actions": may}
                for name, may in rights.items()
            ]
        }
    )


def identity_names() -> list[str]:
    """Everybody with a key."""
    return [*(one.name for one in consumers.CONSUMERS if one.grants), SETUP]


def identities_secret(secrets: Secrets, part: Part) -> Manifest:
    """The file, in a Secret."""
    keys = {name: secrets.value(consumers.s3_key(name)) for name in identity_names()}
    text = pulumi.Output.all(**keys).apply(identities)
    return opaque("s3-identities", part, {"identities.json": text})


def signing_secret(secrets: Secrets, part: Part) -> Manifest:
    """What the parts know each other by: nobody else writes to a volume server or a filer."""
    return opaque(SIGNING, part, {variable: secrets.value(name) for variable, name in KEYS.items()})


def signing_generation(secrets: Secrets) -> str:
    """Changes when what the parts know each other by is rotated."""
    return ".".join(secrets.generation(name) for name in KEYS.values())


def generation(secrets: Secrets) -> str:
    """Changes with every rotation of a key."""
    wanted = [consumers.s3_key(name) for name in identity_names()]
    return hashlib.sha256(".".join(secrets.generation(name) for name in wanted).encode()).hexdigest()[:8]


def replication(settings: Settings) -> str:
    """On how many volume servers everything is: twice where there are two."""
    kept = data_parts.data(settings).store
    return "001" if kept and kept.replicas > 1 else "000"


def volume_mb(size: int) -> int:
    """Largest size of one volume, in MB, on a disk of ``size`` bytes."""
    return max(LEAST_MB, min(MOST_MB, size // VOLUMES_PER_DISK // MIB))


def arguments(app: str, settings: Settings, found: Mapping[str, Part]) -> list[str]:
    """What each of the four programs is started with."""
    ports, kept = settings.ports, data_parts.data(settings).store
    assert kept is not None
    masters = [f"{member(found[MASTER], n)}:{ports['s3_master']}" for n in range(found[MASTER].pods)]
    filers = [f"{member(found[FILER], n)}:{ports['s3_filer']}" for n in range(found[FILER].pods)]
    host = f"-ip=$(POD_NAME).{app}-pods.{names.DATA}.svc"
    bind, measured = "-ip.bind=0.0.0.0", f"-metricsPort={ports['s3_metrics']}"
    own = {
        MASTER: [
            "-mdir=/data",
            host,
            bind,
            f"-peers={','.join(masters) if len(masters) > 1 else 'none'}",
            f"-defaultReplication={replication(settings)}",
            f"-volumeSizeLimitMB={volume_mb(kept.volume)}",
            "-telemetry=false",
        ],
        VOLUME: [
            "-dir=/data",
            "-max=0",  # as many as the disk holds
            "-id=$(POD_NAME)",
            host,
            bind,
            f"-master={','.join(masters)}",
            "-minFreeSpace=5",
            "-index=leveldb",
        ],
        FILER: [
            host,
            bind,
            f"-master={','.join(masters)}",
            f"-defaultReplicaPlacement={replication(settings)}",
            "-disableDirListing",
            "-exposeDirectoryData=false",
        ],
        STORE: [
            bind,
            f"-filer={','.join(filers)}",
            f"-config={IDENTITIES}/identities.json",
            # Who may do what stands in the file and nowhere else; a bucket goes only when it is empty.
            "-iam=false",
            "-autoCreateBucket=false",
            "-allowDeleteBucketNotEmpty=false",
            "-port.iceberg=0",
            "-port.lance=0",
        ],
    }[app]
    program = {MASTER: "master", VOLUME: "volume", FILER: "filer", STORE: "s3"}[app]
    port = settings.ports[{MASTER: "s3_master", VOLUME: "s3_volume", FILER: "s3_filer", STORE: "s3"}[app]]
    return ["-logtostderr=true", program, *own, f"-port={port}", f"-port.grpc={port + GRPC}", measured]


def filer_store(part: Part) -> Manifest:
    """Where names and places of objects are kept: in PostgreSQL, so that filers keep nothing."""
    host = f"{consumers.DATABASE}.{names.DATA}.svc"
    table = 'CREATE TABLE IF NOT EXISTS "%s" (dirhash BIGINT, name VARCHAR(65535), directory VARCHAR(65535), '
    table += "meta bytea, PRIMARY KEY (dirhash, name))"
    lines = {
        "enabled": "true",
        "createTable": json.dumps(table),
        "hostname": json.dumps(host),
        "port": "5432",
        "username": json.dumps("filer"),
        "password": '""',  # comes from the environment
        "database": json.dumps(consumers.consumer("filer").databases[0]),
        "schema": '""',
        "sslmode": json.dumps("verify-full"),
        "sslrootcert": json.dumps(f"{TLS}/{consumers.AUTHORITY}"),
        "connection_max_idle": "10",
        "connection_max_open": "50",
        "connection_max_lifetime_seconds": "300",
        "enableUpsert": "true",
        "upsertQuery": json.dumps(UPSERT),
    }
    text = "[postgres2]\n" + "".join(f"{name} = {value}\n" for name, value in lines.items())
    return scripts.config_map("s3-filer", part.namespace, {"filer.toml": text}, part.labels)


TLS = "/etc/postgresql-ca"
UPSERT = (
    'INSERT INTO "%[1]s" (dirhash, name, directory, meta) VALUES($1, $2, $3, $4) '
    "ON CONFLICT (dirhash, name) DO UPDATE SET directory=EXCLUDED.directory, meta=EXCLUDED.meta"
)
PROBES = {MASTER: "/cluster/status", VOLUME: "/healthz", FILER: "/healthz", STORE: "/healthz"}


def workload(
    app: str, settings: Settings, found: Mapping[str, Part], config: Manifest, noted: str
) -> Manifest:
    """One of the four. ``config`` is that of filers; ``noted`` changes with every rotation of a key."""
    part, kept = found[app], data_parts.data(settings).store
    assert kept is not None
    mounts = {"tmp!": data_parts.TEMPORARY} | {
        MASTER: {"data!": "/data"},
        VOLUME: {"data!": "/data"},
        FILER: {"config": FILER_STORE, "authority": TLS},
        STORE: {"identities": IDENTITIES},
    }[app]
    port = settings.ports[{MASTER: "s3_master", VOLUME: "s3_volume", FILER: "s3_filer", STORE: "s3"}[app]]
    exposed = {"http": port, "grpc": port + GRPC, "metrics": settings.ports["s3_metrics"]}
    container = data_parts.container(part, settings, exposed, mounts, pods.http(PROBES[app], "http"))
    hidden = {variable: (SIGNING, variable) for variable in KEYS}
    if app == FILER:
        hidden["WEED_POSTGRES2_PASSWORD"] = ("postgresql-filer", "PGPASSWORD")
    container |= {"command": ["weed"], "args": arguments(app, settings, found)}
    container["env"] = environment({"HOME": data_parts.TEMPORARY}, hidden)
    volumes = [data_parts.scratch(size=GIB)] + {
        MASTER: [data_parts.scratch("data", GIB)],
        VOLUME: [],
        FILER: [
            {"name": "config", "configMap": {"name": config["metadata"]["name"]}},
            data_parts.secret_volume("authority", "postgresql-filer"),
        ],
        STORE: [data_parts.secret_volume("identities", "s3-identities")],
    }[app]
    spec = parts.pod(part, container, volumes)
    if app == FILER:
        database = consumers.endpoint(consumers.DATABASE, settings)
        spec = waits.waiting(spec, settings, waits.program(part), [database])
    if app == STORE:
        return _labelled(parts.deployment(part, spec, **{data_parts.GENERATION: noted}))
    return _labelled(stateful(part, spec, noted, (kept.tier, kept.volume) if app == VOLUME else None))


def setup(settings: Settings, part: Part, program: Manifest, noted: str) -> Manifest:
    """Makes the buckets and tries the store; nothing that needs it starts before this has passed."""
    mounts = {"program": pods.SCRIPTS_PATH}
    container = data_parts.container(part, settings, {}, mounts, {})
    container["command"] = ["python3", f"{pods.SCRIPTS_PATH}/s3_setup.py"]
    store = consumers.store(settings)
    wanted = (*consumers.buckets(),)
    plain = {
        "S3_ENDPOINT": store.endpoint,
        "S3_REGION": store.region,
        "S3_BUCKETS": " ".join(wanted),
        "S3_GATE": GATE,
        "S3_TRIES": str(TRIES),
        "AWS_ACCESS_KEY_ID": store.access_keys.get(SETUP, SETUP),
    }
    container["env"] = environment(plain, {"AWS_SECRET_ACCESS_KEY": ("s3-setup", "AWS_SECRET_ACCESS_KEY")})
    spec = parts.pod(part, container, [_program_volume(program)])
    return data_parts.job(part, spec, noted)


def _program_volume(program: Manifest) -> Manifest:
    """Its module lies where it lies here."""
    places = {name: f"model_store/{name}" if name == "sigv4.py" else name for name in program["data"]}
    items = [{"key": name, "path": place} for name, place in places.items()]
    return {"name": "program", "configMap": {"name": program["metadata"]["name"], "items": items}}


def setup_program(part: Part) -> Manifest:
    """The job's program, with the module that signs its requests."""
    signing = paths.MODULE_UTILS / "model_store/sigv4.py"
    data = scripts.read("s3_setup.py") | {signing.name: signing.read_text()}
    return scripts.config_map(STORE_SETUP, part.namespace, data, part.labels)


def setup_secret(secrets: Secrets, part: Part) -> Manifest:
    """The key of the job's identity."""
    return opaque("s3-setup", part, {"AWS_SECRET_ACCESS_KEY": secrets.value(consumers.s3_key(SETUP))})


def _labelled(found: Manifest) -> Manifest:
    found["spec"]["template"]["metadata"]["labels"] = found["spec"]["template"]["metadata"]["labels"] | {
        scrape.METRICS_LABEL: "seaweedfs"
    }
    return found
