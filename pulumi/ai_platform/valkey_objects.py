"""Objects of Valkey: one that keeps queues, with copies, and one for what may be forgotten."""

import hashlib
from collections.abc import Mapping

import pulumi

from ai_platform import consumers, data_parts, pods
from ai_platform import monitoring_parts as parts
from ai_platform.data_parts import environment, opaque, peers
from ai_platform.data_settings import GIB
from ai_platform.manifest import Manifest
from ai_platform.monitoring_parts import MIB, Part
from ai_platform.secrets import Secrets
from ai_platform.settings import Settings

MONITORING, REPLICATION = "monitoring", "replication"
ACL_PATH, DATA = "/etc/valkey", "/data"
# Everything of keys and queues, nothing of the server: no CONFIG, KEYS, FLUSHALL, DEBUG, SHUTDOWN, ACL.
# INFO and ROLE are asked by client libraries, tell nothing about keys, and stay.
APPLICATION = "~* &* +@all -@admin -@dangerous +info +role"
RIGHTS = {
    # Exporters read figures and the length of queues.
    MONITORING: "~* resetchannels -@all +ping +info +hello +select +client|setname +config|get +slowlog|get"
    " +slowlog|len +latency|latest +type +llen +scard +zcard +xlen +strlen +hlen +memory|usage +dbsize +scan",
    REPLICATION: "resetkeys resetchannels -@all +psync +replconf +ping +info +hello +client|setname",
}
COPY_SHARE = 3  # of memory: two thirds for data, the rest for copies on write while the log is rewritten


def users(instance: str) -> list[str]:
    """Who may log in to an instance."""
    return [*(one.name for one in consumers.CONSUMERS if one.valkey == instance), MONITORING, REPLICATION]


def acl(instance: str, passwords: Mapping[str, str]) -> str:
    """The file of users. Nobody comes in without a name; of passwords it has hashes only."""
    lines = ["user default off resetpass resetkeys resetchannels -@all"]
    for user in users(instance):
        hashed = hashlib.sha256(passwords[user].encode()).hexdigest()
        lines.append(f"user {user} on #{hashed} {RIGHTS.get(user, APPLICATION)}")
    return "\n".join(lines) + "\n"


def server_settings(settings: Settings, instance: str) -> dict[str, str]:
    """Valkey's settings; the rest are its own defaults. A broker refuses what does not fit rather than lose
    what it has; a cache lets go of what ends soonest."""
    wanted = data_parts.data(settings)
    keeps = instance == consumers.BROKER
    memory = wanted.valkey.memory * 2 // COPY_SHARE if keeps else wanted.cache
    return {
        "port": str(settings.ports["valkey"]),
        "bind": "0.0.0.0",  # noqa: S104 - of the pod; network policies say who reaches it
        "protected-mode": "no",
        "dir": DATA,
        "aclfile": f"{ACL_PATH}/users.acl",
        "maxmemory": f"{memory // MIB}mb",
        "maxmemory-policy": "noeviction" if keeps else "volatile-ttl",
        "appendonly": "yes" if keeps else "no",
        "appendfsync": "everysec",
        "save": "",
        "enable-debug-command": "no",
        "enable-module-command": "no",
    }


def secret(secrets: Secrets, part: Part) -> Manifest:
    """The users of an instance, and the log-in of its copies."""
    passwords = {user: secrets.value(consumers.valkey_password(user)) for user in users(part.app)}
    text = pulumi.Output.all(**passwords).apply(lambda found: acl(part.app, found))
    return opaque(part.app, part, {"users.acl": text, REPLICATION: passwords[REPLICATION]})


def generation(secrets: Secrets, instance: str) -> str:
    """Changes with every rotation of a password and every change of rights."""
    wanted = ".".join(secrets.generation(consumers.valkey_password(user)) for user in users(instance))
    plain = acl(instance, dict.fromkeys(users(instance), ""))
    return hashlib.sha256(f"{wanted}{plain}".encode()).hexdigest()[:8]


def container(settings: Settings, part: Part, primary: int) -> Manifest:
    """One Valkey."""
    port = settings.ports["valkey"]
    mounts = {"data!": DATA, "users": ACL_PATH, "program": pods.SCRIPTS_PATH}
    made = data_parts.container(part, settings, {"valkey": port}, mounts, {"tcpSocket": {"port": "valkey"}})
    made["command"] = ["sh", f"{pods.SCRIPTS_PATH}/valkey.sh"]
    wanted = server_settings(settings, part.app)
    made["args"] = [word for name, value in wanted.items() for word in (f"--{name}", value)]
    plain = {"PRIMARY": str(primary), "PEERS": peers(part, port), "DATA": DATA}
    made["env"] = environment(plain, {"REPLICATION_PASSWORD": (part.app, REPLICATION)})
    return made


def broker(settings: Settings, part: Part, program: Manifest, noted: str) -> Manifest:
    """The one that keeps queues, and its copies."""
    kept = data_parts.data(settings).valkey
    spec = parts.pod(part, container(settings, part, kept.primary), _volumes(part, program))
    return data_parts.stateful(part, spec, noted, (kept.tier, kept.volume))


def cache(settings: Settings, part: Part, program: Manifest, noted: str) -> Manifest:
    """The one that may forget; its pod has a name of its own, as the other's have."""
    volumes = [*_volumes(part, program), data_parts.scratch("data", GIB)]
    spec = parts.pod(part, container(settings, part, 0), volumes)
    return data_parts.stateful(part, spec, noted)


def _volumes(part: Part, program: Manifest) -> list[Manifest]:
    users_file: Manifest = data_parts.secret_volume("users", part.app)
    users_file["secret"]["items"] = [{"key": "users.acl", "path": "users.acl"}]
    return [users_file, parts.from_config("program", program)]
