"""Objects of Milvus, its etcd and its set-up job, and of Chroma."""

from collections.abc import Mapping

from ai_platform import consumers, data_parts, milvus_config, names, pods, scripts
from ai_platform import monitoring_parts as common
from ai_platform.data_parts import GENERATION, environment, opaque, stateful
from ai_platform.data_settings import GIB
from ai_platform.manifest import Manifest
from ai_platform.milvus_config import PASSWORDS, STATE
from ai_platform.milvus_parts import MILVUS, QUERY, milvus
from ai_platform.monitoring_parts import Part
from ai_platform.secrets import Secrets
from ai_platform.settings import Settings

CONFIG, GRANTS = "/milvus/configs/user.yaml", "/etc/bedplate/grants.json"
USERS, FIRST = "milvus-users", "milvus-first"
CACHE = 20 * GIB  # of programs that hold nothing for long
GRACE_SECONDS = 300  # what a program may take to hand its segments over
PROGRAM = "milvus_setup.py"


def who() -> consumers.Consumer:
    """Milvus among the consumers."""
    return consumers.consumer("milvus")


def config_map(settings: Settings, part: Part) -> Manifest:
    """Milvus' configuration."""
    data = {"user.yaml": milvus_config.configuration(settings)}
    return scripts.config_map(MILVUS, part.namespace, data, part.labels)


def first_secret(secrets: Secrets, part: Part) -> Manifest:
    """What root is called upon at the very first start: so the published password opens nothing, ever."""
    return opaque(FIRST, part, {"root": secrets.value(PASSWORDS[milvus_config.ROOT])})


def setup_secret(secrets: Secrets, part: Part) -> Manifest:
    """Passwords of all users, for the job only."""
    data = {f"PASSWORD_{user.upper()}": secrets.value(name) for user, name in PASSWORDS.items()}
    return opaque(USERS, part, data)


def generations(secrets: Secrets) -> tuple[str, str]:
    """Of what Milvus holds (its key of the object store), and of its users' passwords."""
    return consumers.generation(who(), secrets), ".".join(secrets.generation(n) for n in PASSWORDS.values())


def etcd(settings: Settings, part: Part) -> Manifest:
    """Names of collections, segments and users. Without it the objects in the store are only bytes."""
    ports, wanted = settings.ports, milvus(settings)
    exposed = {"client": ports["etcd_client"], "peer": ports["etcd_peer"], "metrics": ports["etcd_metrics"]}
    probe = pods.http("/readyz", "metrics")
    made = data_parts.container(part, settings, exposed, {"data!": STATE}, probe)
    # Healthy without a quorum: a restart brings back no other member.
    made["livenessProbe"] |= pods.http("/livez", "metrics")
    made |= {"command": ["etcd"], "args": milvus_config.etcd_arguments(settings), "env": environment({}, {})}
    return stateful(part, common.pod(part, made, []), "", (wanted.tier, wanted.metadata))


def program(settings: Settings, part: Part, config: Manifest, noted: str) -> Manifest:
    """One of Milvus' programs. The standalone keeps its log on a volume of its own; those of a cluster keep
    nothing that is not elsewhere, too."""
    wanted = milvus(settings)
    made = data_parts.container(part, settings, _ports(settings, part), _mounts(), _ready())
    made["volumeMounts"][0]["subPath"] = "user.yaml"
    made["livenessProbe"] |= {"tcpSocket": {"port": "metrics"}}
    del made["livenessProbe"]["httpGet"]
    made["command"] = ["milvus", "run", *milvus_config.started_as(settings, part.app)]
    made["env"] = _environment(settings)
    volumes = [common.from_config("config", config), data_parts.scratch(size=GIB)]
    if wanted.cluster:
        volumes.append(pods.scratch_volume("data", wanted.volume if part.app == QUERY else CACHE))
    spec = common.pod(part, made, volumes)
    spec |= {"priorityClassName": names.INTERACTIVE, "terminationGracePeriodSeconds": GRACE_SECONDS}
    # Files of its image belong to root and its group, and to nobody else.
    spec["securityContext"] = pods.pod_security(part.user, 0, files=part.user)
    made["resources"] = made["resources"] | {"limits": made["resources"]["limits"] | _scratch(settings, part)}
    if not wanted.cluster:
        return stateful(part, spec, noted, (wanted.tier, wanted.volume))
    return common.deployment(part, spec, **{GENERATION: noted})


def _ports(settings: Settings, part: Part) -> Mapping[str, int]:
    metrics = {"metrics": settings.ports["milvus_metrics"]}
    return metrics | ({"grpc": settings.ports["milvus"]} if part.app == MILVUS else {})


def _mounts() -> Mapping[str, str]:
    return {"config": CONFIG, "tmp!": data_parts.TEMPORARY, "data!": STATE}


def _ready() -> Manifest:
    return pods.http("/healthz", "metrics")


def _scratch(settings: Settings, part: Part) -> dict[str, str]:
    """A cache on the host's disk counts against the pod."""
    wanted = milvus(settings)
    if not wanted.cluster:
        return {"ephemeral-storage": "4Gi"}
    return {"ephemeral-storage": f"{(wanted.volume if part.app == QUERY else CACHE) // GIB + 4}Gi"}


def _environment(settings: Settings) -> list[Manifest]:
    keys = consumers.secret_name(consumers.STORE, who())
    hidden = {
        "MINIO_ACCESS_KEY_ID": (keys, "AWS_ACCESS_KEY_ID"),
        "MINIO_SECRET_ACCESS_KEY": (keys, "AWS_SECRET_ACCESS_KEY"),
        "COMMON_SECURITY_DEFAULTROOTPASSWORD": (FIRST, "root"),
    }
    mode = "DISTRIBUTED" if milvus(settings).cluster else "STANDALONE"
    return environment({"DEPLOY_MODE": mode}, hidden)


def setup_program(settings: Settings, part: Part) -> Manifest:
    """The job, and what it makes."""
    data = scripts.read(PROGRAM) | {"grants.json": milvus_config.grants(settings)}
    return scripts.config_map(part.app, part.namespace, data, part.labels)


def setup(settings: Settings, part: Part, files: Manifest, noted: str) -> Manifest:
    """Databases, users and their rights."""
    made = data_parts.container(
        part, settings, {}, {"program": pods.SCRIPTS_PATH, "tmp!": data_parts.TEMPORARY}, {}
    )
    made["command"] = ["python3", f"{pods.SCRIPTS_PATH}/{PROGRAM}"]
    hidden = {f"PASSWORD_{u.upper()}": (USERS, f"PASSWORD_{u.upper()}") for u in PASSWORDS}
    plain = {
        "GRANTS": f"{pods.SCRIPTS_PATH}/grants.json",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": data_parts.TEMPORARY,
    }
    made["env"] = environment(plain, hidden)
    spec = common.pod(part, made, [common.from_config("program", files), data_parts.scratch()])
    return data_parts.job(part, spec, noted)


def chroma(settings: Settings, part: Part) -> Manifest:
    """One pod; what it holds is on its volume."""
    assert settings.chroma is not None
    probe = pods.http("/api/v2/heartbeat", "http")
    exposed = {"http": settings.ports["chroma"]}
    made = data_parts.container(
        part, settings, exposed, {"data!": "/data", "tmp!": data_parts.TEMPORARY}, probe
    )
    made["command"] = ["chroma"]
    made["args"] = ["run", "--path=/data", "--host=0.0.0.0", f"--port={settings.ports['chroma']}"]
    made["env"] = environment({"ANONYMIZED_TELEMETRY": "False", "HOME": data_parts.TEMPORARY}, {})
    spec = common.pod(part, made, [data_parts.scratch()])
    spec["priorityClassName"] = names.INTERACTIVE
    return stateful(part, spec, "", (settings.chroma.tier, settings.chroma.volume))
