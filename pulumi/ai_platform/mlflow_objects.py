"""Objects of MLflow: experiments and the register of models, in PostgreSQL and the object store."""

import pulumi

from ai_platform import consumers, data_parts, names, pods, waits
from ai_platform import monitoring_parts as parts
from ai_platform.consumers import Consumer
from ai_platform.data_parts import environment, opaque
from ai_platform.data_settings import GIB
from ai_platform.manifest import Manifest
from ai_platform.monitoring_parts import Part
from ai_platform.secrets import Secrets
from ai_platform.settings import Settings

APP = "mlflow"
USER = "bedplate"  # not the name that everybody tries first
PASSWORD, FORMS = "mlflow-admin-password", "mlflow-secret-key"
CONFIG, AUTHORITY = "/etc/mlflow", "/etc/postgresql-ca"
WORKERS = 2
LOGIN = "mlflow_login.py"
# Nothing is told to anybody outside; and a store that is not Amazon's is spoken to as all of them understand.
PLAIN = {
    "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
    "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


def who() -> Consumer:
    """MLflow among the consumers."""
    return consumers.consumer(APP)


def database_uri(database: str, authority: str) -> str:
    """Where MLflow finds a database; who it is comes from PGUSER and PGPASSWORD. ``authority`` is the file
    that the server's certificate is held against."""
    host = "$(PGHOST):$(PGPORT)"
    return f"postgresql+psycopg2://{host}/{database}?sslmode=verify-full&sslrootcert={authority}"


def permissions(database: str, password: str) -> str:
    """The configuration of MLflow's log-in: nobody sees what he was not given."""
    lines = {
        "default_permission": "NO_PERMISSIONS",
        "database_uri": database,
        "admin_username": USER,
        "admin_password": password,
        "authorization_function": "mlflow.server.auth:authenticate_request_basic_auth",
    }
    # A percent sign would begin an interpolation.
    body = "".join(f"{name} = {value.replace('%', '%%')}\n" for name, value in lines.items())
    return f"[mlflow]\n{body}"


def auth_uri(password: str, settings: Settings) -> str:
    """The database of log-ins, whole: that file knows no variables."""
    address = consumers.endpoint(consumers.DATABASE, settings)
    authority = f"{AUTHORITY}/{consumers.AUTHORITY}"
    _, database = who().databases
    return f"postgresql+psycopg2://{who().name}:{password}@{address}/{database}?sslmode=verify-full&sslrootcert={authority}"


def secret(settings: Settings, secrets: Secrets, part: Part) -> Manifest:
    """The log-in's configuration and what forms are signed with."""
    found = pulumi.Output.all(secrets.value(consumers.database_password(who().name)), secrets.value(PASSWORD))
    text = found.apply(lambda both: permissions(auth_uri(both[0], settings), both[1]))
    return opaque("mlflow-login", part, {"login.ini": text, "forms": secrets.value(FORMS)})


def generation(secrets: Secrets) -> str:
    """Changes with every rotation."""
    own = ".".join(secrets.generation(name) for name in (PASSWORD, FORMS))
    return f"{consumers.generation(who(), secrets)}.{own}"


def arguments(settings: Settings) -> list[str]:
    """What the server is started with. Clients send files to it and need no key of the object store."""
    database, _ = who().databases
    return [
        "server",
        f"--backend-store-uri={database_uri(database, f'{AUTHORITY}/{consumers.AUTHORITY}')}",
        "--serve-artifacts",
        f"--artifacts-destination=s3://{who().grants[0].bucket}/artifacts",
        "--default-artifact-root=mlflow-artifacts:/",
        "--app-name=basic-auth",
        "--host=0.0.0.0",
        f"--port={settings.ports['mlflow']}",
        f"--workers={WORKERS}",
        f"--allowed-hosts=mlflow.{names.MLFLOW}.svc,mlflow.{names.MLFLOW}.svc:{settings.ports['mlflow']}",
    ]


def deployment(settings: Settings, part: Part, noted: str) -> Manifest:
    """Interchangeable pods; all that they know is in the database and in the bucket."""
    port, store = settings.ports["mlflow"], consumers.store(settings)
    host = {"httpHeaders": [{"name": "Host", "value": f"mlflow.{names.MLFLOW}.svc"}]}
    probe = {"httpGet": {"path": "/health", "port": "http"} | host}
    mounts = {"login": CONFIG, "authority": AUTHORITY, "tmp!": data_parts.TEMPORARY}
    made = data_parts.container(part, settings, {"http": port}, mounts, probe)
    access = consumers.secret_name(consumers.DATABASE, who())
    keys = consumers.secret_name(consumers.STORE, who())
    hidden = {name: (access, name) for name in ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD")}
    hidden |= {name: (keys, name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    hidden["MLFLOW_FLASK_SERVER_SECRET_KEY"] = ("mlflow-login", "forms")
    plain = {
        "MLFLOW_AUTH_CONFIG_PATH": f"{CONFIG}/login.ini",
        "MLFLOW_S3_ENDPOINT_URL": store.endpoint,
        "AWS_DEFAULT_REGION": store.region,
        "HOME": data_parts.TEMPORARY,
        **PLAIN,
    }
    made |= {"command": ["mlflow"], "args": arguments(settings), "env": environment(plain, hidden)}
    login = data_parts.secret_volume("login", "mlflow-login")
    login["secret"]["items"] = [{"key": "login.ini", "path": "login.ini"}]
    authority = data_parts.secret_volume("authority", access)
    authority["secret"]["items"] = [{"key": consumers.AUTHORITY, "path": consumers.AUTHORITY}]
    spec = parts.pod(part, made, [login, authority, data_parts.scratch(size=2 * GIB)])
    spec["priorityClassName"] = names.INTERACTIVE
    spec = waits.waiting(spec, settings, before(part), [consumers.endpoint(consumers.DATABASE, settings)])
    spec["initContainers"].append(_login(made))
    return parts.deployment(part, spec, **{data_parts.GENERATION: noted})


def before(part: Part) -> Manifest:
    """Programs that run before the server."""
    return waits.program(part, LOGIN)


def _login(server: Manifest) -> Manifest:
    """Gives the administrator the password of the Secret, with what the server sees of it."""
    same = ("image", "imagePullPolicy", "env", "securityContext")
    return {name: server[name] for name in same} | {
        "name": "login",
        "command": ["python3", f"{pods.SCRIPTS_PATH}/{LOGIN}"],
        "resources": pods.small("100m", "256Mi", "1Gi"),
        "volumeMounts": [*server["volumeMounts"], waits.MOUNT],
    }
