"""Objects of PostgreSQL: one that is written to, standbys, its archive, and the job that makes roles and
databases."""

import base64
import hashlib
import hmac
from collections.abc import Mapping

import pulumi

from ai_platform import consumers, data_parts, names, pods
from ai_platform import monitoring_parts as parts
from ai_platform.data_parts import environment, member, opaque, peers
from ai_platform.data_settings import GIB, Archive
from ai_platform.manifest import Manifest
from ai_platform.monitoring_parts import MIB, Part
from ai_platform.scripts import config_map, read
from ai_platform.secrets import Secrets
from ai_platform.settings import Settings

ADMIN, REPLICATION, MONITORING, BACKUP = "postgres", "replication", "monitoring", "backup"
PASSWORDS = {ADMIN: "postgres-admin-password"}  # others are named after the role
DATA, SOCKETS = "/var/lib/postgresql/data", "/var/run/postgresql"
TLS, RULES = "/etc/postgresql/tls", "/etc/postgresql/hba"
KEY, CERTIFICATE = "tls.key", "tls.crt"
SECRET, SETUP_SECRET = "postgresql", "postgresql-setup"
CONNECTIONS = 200
LOG_SHARE = 4  # a quarter of the volume is the most that the log takes for a copy that does not come back
ITERATIONS = 4096  # PostgreSQL's own for SCRAM
GRACE_SECONDS = 120
PSQL, SQL = "psql -X -q -d postgres -f", "/etc/postgresql/setup/setup.sql"
ARCHIVE_PATH = "/archive"
# Who may come in, and how: everybody over TLS with a password, the administrator from inside the pod.
HBA = """\
local    all          postgres  peer
hostssl  replication  replication  all  scram-sha-256
hostssl  all          all          all  scram-sha-256
host     all          all          all  reject
"""


def server_settings(settings: Settings) -> dict[str, str]:
    """PostgreSQL's settings; the rest are its own defaults."""
    kept = data_parts.data(settings).postgresql
    return {
        "listen_addresses": "*",
        "ssl": "on",
        "ssl_cert_file": f"{TLS}/{CERTIFICATE}",
        "ssl_key_file": f"{TLS}/{KEY}",
        "ssl_min_protocol_version": "TLSv1.2",
        "hba_file": f"{RULES}/pg_hba.conf",
        "password_encryption": "scram-sha-256",
        "max_connections": str(CONNECTIONS),
        "shared_buffers": f"{kept.memory // 4 // MIB}MB",
        "effective_cache_size": f"{kept.memory * 3 // 4 // MIB}MB",
        "wal_level": "replica",
        "max_wal_senders": "10",
        "max_replication_slots": "10",
        "max_slot_wal_keep_size": f"{kept.volume // LOG_SHARE // MIB}MB",
        "wal_keep_size": f"{min(1024, kept.volume // LOG_SHARE // MIB // 4)}MB",
        "hot_standby": "on",
        "log_connections": "on",
        "log_line_prefix": "%m [%p] %q%u@%d/%h ",
        "log_lock_waits": "on",
        "log_checkpoints": "on",
        "idle_in_transaction_session_timeout": "10min",
    }


def password_of(role: str) -> str:
    """Name of the stack's secret with a role's password."""
    return PASSWORDS.get(role, consumers.database_password(role))


def roles() -> tuple[str, ...]:
    """Every role that is made, but for the administrator."""
    used = (consumers.role(one) for one in consumers.CONSUMERS)
    return (*(role for role in used if role), MONITORING, REPLICATION)


def verifier(role: str, password: str) -> str:
    """What PostgreSQL keeps of a password (SCRAM-SHA-256, RFC 5803), so that the password itself is in no
    statement and no log. The salt follows from the password, so that the same one gives the same text."""
    salt = hashlib.sha256(f"{role}\0{password}".encode()).digest()[:16]
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    coded = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${ITERATIONS}:{coded[0]}${coded[1]}:{coded[2]}"


def setup_sql(passwords: Mapping[str, str]) -> str:
    """Roles and databases as they should be, for psql; ``passwords`` by role. Run again it changes
    nothing but what somebody else changed."""
    lines = ["\\set ON_ERROR_STOP on", "SET client_min_messages = warning;"]
    for role in roles():
        able = "REPLICATION" if role == REPLICATION else "NOREPLICATION"
        lines += [
            _unless(f"CREATE ROLE {_name(role)}", "pg_roles", "rolname", role),
            f"ALTER ROLE {_name(role)} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS {able}"
            f" PASSWORD '{verifier(role, passwords[role])}';",
        ]
    lines.append(f"ALTER ROLE postgres PASSWORD '{verifier(ADMIN, passwords[ADMIN])}';")
    for database, owner in consumers.databases().items():
        lines += _database(database, owner)
    lines += [
        "REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC;",
        f"GRANT CONNECT ON DATABASE postgres TO {_name(MONITORING)}, {_name(BACKUP)}, {_name(REPLICATION)};",
        f"GRANT pg_monitor TO {_name(MONITORING)};",
        f"GRANT pg_read_all_data TO {_name(BACKUP)};",
    ]
    # What a former primary reads of the new one to follow it again (pg_rewind).
    for function in ("pg_ls_dir(text, boolean, boolean)", "pg_stat_file(text, boolean)"):
        lines.append(f"GRANT EXECUTE ON FUNCTION {function} TO {_name(REPLICATION)};")
    for function in ("pg_read_binary_file(text)", "pg_read_binary_file(text, bigint, bigint, boolean)"):
        lines.append(f"GRANT EXECUTE ON FUNCTION {function} TO {_name(REPLICATION)};")
    return "\n".join(lines) + "\n"


def _database(database: str, owner: str) -> list[str]:
    """A database that is its owner's, and that nobody else may enter."""
    name = _name(database)
    return [
        _unless(f"CREATE DATABASE {name} OWNER {_name(owner)}", "pg_database", "datname", database),
        f"ALTER DATABASE {name} OWNER TO {_name(owner)};",
        f"REVOKE ALL ON DATABASE {name} FROM PUBLIC;",
        f"GRANT CONNECT ON DATABASE {name} TO {_name(BACKUP)}, {_name(MONITORING)};",
    ]


def _unless(statement: str, table: str, column: str, value: str) -> str:
    """A statement that psql runs where there is no such row; all of it are words of our own."""
    there = f"(SELECT FROM {table} WHERE {column} = '{value}')"
    return f"SELECT '{statement}' WHERE NOT EXISTS {there} \\gexec"


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def secret(secrets: Secrets, part: Part) -> Manifest:
    """What the servers hold: their key and certificate, the passwords of the administrator and of copies."""
    tls = secrets.value(consumers.DATABASE_TLS)
    data = {
        KEY: consumers.private_key(tls),
        CERTIFICATE: consumers.certificate(tls),
        ADMIN: secrets.value(password_of(ADMIN)),
        REPLICATION: secrets.value(password_of(REPLICATION)),
    }
    return opaque(SECRET, part, data)


def setup_secret(secrets: Secrets, part: Part) -> Manifest:
    """The job's SQL. It has no password, but what could be tried against one."""
    passwords = {role: secrets.value(password_of(role)) for role in (ADMIN, *roles())}
    return opaque(SETUP_SECRET, part, {"setup.sql": pulumi.Output.all(**passwords).apply(setup_sql)})


def generations(secrets: Secrets) -> tuple[str, str]:
    """Of what the servers hold, and of all passwords."""
    held = (consumers.DATABASE_TLS, password_of(ADMIN), password_of(REPLICATION))
    everything = ".".join(secrets.generation(password_of(role)) for role in (ADMIN, *roles()))
    known = hashlib.sha256(f"{everything}{consumers.databases()}{roles()}".encode()).hexdigest()[:8]
    return ".".join(secrets.generation(name) for name in held), known


def servers(settings: Settings, part: Part, program: Manifest, noted: str) -> Manifest:
    """All of them; what each is follows from its ordinal and the primary's."""
    kept, port = data_parts.data(settings).postgresql, settings.ports["postgresql"]
    mounts = {
        "data!": DATA,  # the very path of the image's own volume, which would lie above it otherwise
        "run!": SOCKETS,
        "tmp!": data_parts.TEMPORARY,
        "tls": TLS,
        "program": pods.SCRIPTS_PATH,
        "rules": RULES,
        "shm!": "/dev/shm",  # noqa: S108 - the mount, not a file in it
    }
    probe = data_parts.shell(["pg_isready", "-q", "-h", SOCKETS, "-p", str(port)])
    made = data_parts.container(part, settings, {"postgresql": port}, mounts, probe)
    made["command"] = ["bash", f"{pods.SCRIPTS_PATH}/postgresql.sh"]
    made["args"] = [w for name, value in server_settings(settings).items() for w in ("-c", f"{name}={value}")]
    plain = {
        "PGDATA": f"{DATA}/pgdata",
        "PGPORT": str(port),
        "SOCKETS": SOCKETS,
        "PRIMARY": str(kept.primary),
        "PEERS": peers(part, port),
        "CERTIFICATE": f"{TLS}/{CERTIFICATE}",
    }
    hidden = {"ADMIN_PASSWORD": (SECRET, ADMIN), "REPLICATION_PASSWORD": (SECRET, REPLICATION)}
    made["env"] = environment(plain, hidden)
    volumes = [
        data_parts.secret_volume("tls", SECRET, 0o440) | _only(SECRET, KEY, CERTIFICATE),
        *(parts.from_config(name, program) for name in ("program", "rules")),
        data_parts.scratch("run"),
        data_parts.scratch("tmp", GIB),
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "256Mi"}},
    ]
    spec = parts.pod(part, made, volumes) | {"terminationGracePeriodSeconds": GRACE_SECONDS}
    return data_parts.stateful(part, spec, noted, (kept.tier, kept.volume))


def _only(secret: str, *keys: str) -> Manifest:
    items = [{"key": key, "path": key} for key in keys]
    return {"secret": {"secretName": secret, "defaultMode": 0o440, "items": items}}


def program(part: Part) -> Manifest:
    """The servers' start, and who may come in."""
    return config_map(part.app, part.namespace, read("postgresql.sh") | {"pg_hba.conf": HBA}, part.labels)


def archive_program(part: Part) -> Manifest:
    """What receives the log and makes whole copies."""
    return config_map(part.app, part.namespace, read("postgresql_archive.sh"), part.labels)


def setup(settings: Settings, part: Part, noted: str) -> Manifest:
    """Waits for the primary, then makes roles and databases."""
    mounts = {"sql": SQL.rpartition("/")[0], "tls": TLS, "tmp!": data_parts.TEMPORARY}
    made = data_parts.container(part, settings, {}, mounts, {})
    made["command"] = ["bash", "-c", f"until pg_isready -q; do sleep 2; done; exec {PSQL} {SQL}"]
    made["env"] = client(settings, ADMIN) + _login(ADMIN)
    volumes = [
        data_parts.secret_volume("sql", SETUP_SECRET),
        {"name": "tls"} | _only(SECRET, CERTIFICATE),
        data_parts.scratch(),
    ]
    return data_parts.job(part, parts.pod(part, made, volumes), noted)


def client(settings: Settings, role: str) -> list[Manifest]:
    """Variables of a program of PostgreSQL's own that asks the primary."""
    host, _, port = consumers.endpoint(consumers.DATABASE, settings).partition(":")
    plain = {"PGHOST": host, "PGPORT": port, "PGUSER": role, "PGSSLMODE": "verify-full"}
    plain["PGSSLROOTCERT"] = f"{TLS}/{CERTIFICATE}"
    return environment(plain, {})


def _login(role: str) -> list[Manifest]:
    return environment({}, {"PGPASSWORD": (SECRET, role)})[1:]


def archive(settings: Settings, part: Part, kept: Archive, program: Manifest, noted: str) -> Manifest:
    """On another host than the primary where there is one: its log, received as it is written, and whole
    copies."""
    volumes = [
        parts.from_config("program", program),
        {"name": "tls"} | _only(SECRET, CERTIFICATE),
        data_parts.scratch(),
    ]
    mounts = {"data!": ARCHIVE_PATH, "program": pods.SCRIPTS_PATH, "tls": TLS, "tmp!": data_parts.TEMPORARY}
    containers = []
    for what in ("log", "copies"):
        made = data_parts.container(part, settings, {}, mounts, {}) | {"name": what}
        made["command"] = ["bash", f"{pods.SCRIPTS_PATH}/postgresql_archive.sh"]
        plain = {"WHAT": what, "ARCHIVE": ARCHIVE_PATH, "DAYS": str(kept.days)}
        made["env"] = client(settings, REPLICATION) + _login(REPLICATION) + environment(plain, {})[1:]
        containers.append(made)
    spec = parts.pod(part, containers[0], volumes) | {"containers": containers}
    apart = {"matchLabels": names.selector(consumers.DATABASE, data_parts.INSTANCE)}
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": apart}
    spec["affinity"] = {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": term}]
        }
    }
    return data_parts.stateful(part, spec, noted, (kept.tier, kept.volume))


def members(part: Part) -> list[str]:
    """Host names of all servers."""
    return [member(part, ordinal) for ordinal in range(part.pods)]
