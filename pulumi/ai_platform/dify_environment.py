"""What Dify's programs are told: settings in, environment variables out, nothing else known here.

Names and meanings: docker/.env.example of Dify 1.17.1 and of plugin-daemon 0.6.10, conf/config.yaml of
sandbox 0.2.15. Whatever these ship as a default that is known to everybody is set here to something else.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ai_platform import consumers, names
from ai_platform.dify_settings import Dify
from ai_platform.settings import Settings

API, WORKER, BEAT, WEB = "dify-api", "dify-worker", "dify-beat", "dify-web"
PLUGINS, SANDBOX, PROXY = "dify-plugin-daemon", "code-sandbox", "ssrf-proxy"
MIGRATE, SETUP = "dify-migrate", "dify-setup"
SESSIONS = "dify-secret-key"  # names of the stack's secrets and of the Secrets beside the pods
FIRST = "dify-init-password"
ADMINISTRATOR = "dify-admin-password"
DAEMON = "dify-plugin-key"
INNER = "dify-inner-key"
CODE = "dify-code-key"
VECTORS = "milvus-dify-password"
MODELS = "gateway-dify-key"
CERTIFICATES = "/etc/bedplate/postgresql"
SIGNERS = "/etc/bedplate/signers"
WORK = "/app/cwd"
EXECUTION_SECONDS = 600  # of one call to a plugin, on both sides
PACKAGES_SECONDS = 600  # until a plugin's own packages are installed
PACKAGE_BYTES = 50 * 2**20
CODE_SECONDS = 15  # of one run in the sandbox
CODE_WORKERS, CODE_REQUESTS = 4, 50
STREAM_SECONDS = 360


@dataclass(frozen=True)
class Ref:
    """A key of a Secret in the pod's namespace."""

    secret: str
    key: str


Value = str | Ref
Environment = Mapping[str, Value]


def stack(name: str) -> Ref:
    """A secret of the stack, whose Secret has one key of the same name."""
    return Ref(name, name)


def service(app: str, settings: Settings, port: str) -> str:
    """URL of one of Dify's own services inside the cluster."""
    namespace = names.SANDBOX if app == SANDBOX else names.DIFY
    return f"http://{app}.{namespace}.svc:{settings.ports[port]}"


def api(settings: Settings, dify: Dify) -> Environment:
    """The API server; ``worker`` and ``beat`` are told the same but for the first password."""
    return {
        **_program(settings, dify, "api"),
        "INIT_PASSWORD": stack(FIRST),
        "DIFY_PORT": str(settings.ports["dify_api"]),
        "SERVER_WORKER_AMOUNT": "2",
        "GUNICORN_TIMEOUT": str(STREAM_SECONDS),
    }


def worker(settings: Settings, dify: Dify) -> Environment:
    """Whoever does what nobody waits for: indexing, mails, scheduled workflows."""
    return {**_program(settings, dify, "worker"), "CELERY_WORKER_AMOUNT": "4"}


def beat(settings: Settings, dify: Dify) -> Environment:
    """Whoever says when it is time."""
    return _program(settings, dify, "beat")


def migrate(settings: Settings, dify: Dify) -> Environment:
    """The one who changes tables; nobody else does."""
    return {**_program(settings, dify, "migration"), "MIGRATION_ENABLED": "true"}


def _program(settings: Settings, dify: Dify, mode: str) -> dict[str, Value]:
    return {
        "MODE": mode,
        "MIGRATION_ENABLED": "false",
        "DEPLOYMENT_EDITION": "COMMUNITY",
        "DEPLOY_ENV": "PRODUCTION",
        "LOG_OUTPUT_FORMAT": "json",
        "LOG_FILE": "",
        "SECRET_KEY": stack(SESSIONS),
        **_addresses(settings, dify),
        **_manners(),
        **_database(),
        **_broker(),
        **_files(settings),
        **_vectors(settings),
        **_helpers(settings),
    }


def _addresses(settings: Settings, dify: Dify) -> dict[str, Value]:
    own = ["CONSOLE_API_URL", "CONSOLE_WEB_URL", "SERVICE_API_URL", "APP_API_URL", "APP_WEB_URL"]
    own += ["FILES_URL", "TRIGGER_URL", "WEB_API_CORS_ALLOW_ORIGINS", "CONSOLE_CORS_ALLOW_ORIGINS"]
    return {
        **dict.fromkeys(own, dify.address),
        "ENDPOINT_URL_TEMPLATE": f"{dify.address}/e/{{hook_id}}",
        "INTERNAL_FILES_URL": service(API, settings, "dify_api"),
    }


def _manners() -> dict[str, Value]:
    """Nobody registers himself, nothing is told to anybody outside, nothing is fetched from there."""
    return {
        "ALLOW_REGISTER": "false",
        "ALLOW_CREATE_WORKSPACE": "false",
        "ALLOW_EMBED": "false",
        "ENABLE_COLLABORATION_MODE": "false",  # editing together needs a server of its own, for web sockets
        "RESPECT_XFORWARD_HEADERS_ENABLED": "true",
        "MARKETPLACE_ENABLED": "false",
        "CHECK_UPDATE_URL": "",
        "ENABLE_CHECK_UPGRADABLE_PLUGIN_TASK": "false",
        "ENABLE_WEBSITE_JINAREADER": "false",
        "ENABLE_WEBSITE_FIRECRAWL": "false",
        "ENABLE_WEBSITE_WATERCRAWL": "false",
        "ENABLE_OTEL": "false",
        "SENTRY_DSN": "",
        "SWAGGER_UI_ENABLED": "false",
        "HTTP_REQUEST_NODE_SSL_VERIFY": "true",
    }


def _database() -> dict[str, Value]:
    access = consumers.secret_name(consumers.DATABASE, consumers.consumer("dify"))
    return {
        "DB_TYPE": "postgresql",
        "DB_HOST": Ref(access, "PGHOST"),
        "DB_PORT": Ref(access, "PGPORT"),
        "DB_USERNAME": Ref(access, "PGUSER"),
        "DB_PASSWORD": Ref(access, "PGPASSWORD"),
        "DB_DATABASE": consumers.consumer("dify").databases[0],
        "DB_EXTRAS": f"sslmode=verify-full&sslrootcert={CERTIFICATES}/{consumers.AUTHORITY}",
        # A connection that a restart of the database closed is found before it is used.
        "SQLALCHEMY_POOL_PRE_PING": "true",
    }


def _broker() -> dict[str, Value]:
    access = consumers.secret_name(consumers.BROKER, consumers.consumer("dify"))
    keys = {"HOST": "HOST", "PORT": "PORT", "USERNAME": "USER", "PASSWORD": "PASSWORD"}
    return {
        **{f"REDIS_{ours}": Ref(access, f"VALKEY_{theirs}") for ours, theirs in keys.items()},
        "REDIS_USE_SSL": "false",
        "REDIS_DB": "0",
        "CELERY_BACKEND": "redis",
        "CELERY_BROKER_URL": "redis://$(REDIS_USERNAME):$(REDIS_PASSWORD)@$(REDIS_HOST):$(REDIS_PORT)/1",
    }


def _files(settings: Settings) -> dict[str, Value]:
    one, store = consumers.consumer("dify"), consumers.store(settings)
    access = consumers.secret_name(consumers.STORE, one)
    return {
        "STORAGE_TYPE": "s3",
        "S3_ENDPOINT": store.endpoint,
        "S3_REGION": store.region,
        "S3_BUCKET_NAME": one.grants[0].bucket,
        "S3_ACCESS_KEY": Ref(access, "AWS_ACCESS_KEY_ID"),
        "S3_SECRET_KEY": Ref(access, "AWS_SECRET_ACCESS_KEY"),
        "S3_ADDRESS_STYLE": "path",
        "S3_USE_AWS_MANAGED_IAM": "false",
    }


def _vectors(settings: Settings) -> dict[str, Value]:
    return {
        "VECTOR_STORE": "milvus",
        "MILVUS_URI": f"http://milvus.{names.MILVUS}.svc:{settings.ports['milvus']}",
        "MILVUS_DATABASE": "dify",
        "MILVUS_USER": "dify",
        "MILVUS_PASSWORD": stack(VECTORS),
    }


def _helpers(settings: Settings) -> dict[str, Value]:
    proxy = service(PROXY, settings, "ssrf_proxy")
    return {
        "CODE_EXECUTION_ENDPOINT": service(SANDBOX, settings, "code_sandbox"),
        "CODE_EXECUTION_API_KEY": stack(CODE),
        "SSRF_PROXY_HTTP_URL": proxy,
        "SSRF_PROXY_HTTPS_URL": proxy,
        "PLUGIN_DAEMON_URL": service(PLUGINS, settings, "dify_plugins"),
        "PLUGIN_DAEMON_KEY": stack(DAEMON),
        "PLUGIN_DAEMON_TIMEOUT": f"{EXECUTION_SECONDS}.0",
        "PLUGIN_MAX_PACKAGE_SIZE": str(PACKAGE_BYTES),
        "INNER_API_KEY_FOR_PLUGIN": stack(INNER),
    }


def web(settings: Settings, dify: Dify) -> Environment:
    """The pages that people see."""
    return {
        "CONSOLE_API_URL": dify.address,
        "APP_API_URL": dify.address,
        "SERVER_CONSOLE_API_URL": service(API, settings, "dify_api"),
        "DEPLOYMENT_EDITION": "COMMUNITY",
        "DEPLOY_ENV": "PRODUCTION",
        "PORT": str(settings.ports["dify_web"]),
        "HOSTNAME": "0.0.0.0",  # noqa: S104 - inside its own pod
        "PM2_HOME": "/tmp/.pm2",  # noqa: S108 - the pod's own
        "NEXT_TELEMETRY_DISABLED": "1",
        "ENABLE_WEBSITE_JINAREADER": "false",
        "ENABLE_WEBSITE_FIRECRAWL": "false",
        "ENABLE_WEBSITE_WATERCRAWL": "false",
        "SENTRY_DSN": "",
    }


def plugins(settings: Settings, dify: Dify) -> Environment:
    """The daemon that installs and runs plugins."""
    proxy = service(PROXY, settings, "ssrf_proxy")
    direct = [".svc", "localhost", "127.0.0.1", *([dify.index_host] if dify.index_host else [])]
    return {
        "SERVER_PORT": str(settings.ports["dify_plugins"]),
        "SERVER_KEY": stack(DAEMON),
        "GIN_MODE": "release",
        "PLATFORM": "local",
        "DIFY_INNER_API_URL": service(API, settings, "dify_api"),
        "DIFY_INNER_API_KEY": stack(INNER),
        "PLUGIN_REMOTE_INSTALLING_ENABLED": "false",
        "PPROF_ENABLED": "false",
        "HEALTH_API_LOG_ENABLED": "false",
        **_signatures(dify),
        **_plugin_database(),
        **_plugin_broker(),
        **_plugin_files(settings),
        "PLUGIN_WORKING_PATH": WORK,
        "PLUGIN_MAX_EXECUTION_TIMEOUT": str(EXECUTION_SECONDS),
        "MAX_PLUGIN_PACKAGE_SIZE": str(PACKAGE_BYTES),
        "PYTHON_ENV_INIT_TIMEOUT": str(PACKAGES_SECONDS),
        "PIP_MIRROR_AUTO_DETECT": "false",
        **({"PIP_MIRROR_URL": dify.package_index} if dify.package_index else {}),
        "HOME": WORK,
        "UV_CACHE_DIR": f"{WORK}/.uv",
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), proxy),
        "NO_PROXY": ",".join(direct),
    }


def _signatures(dify: Dify) -> dict[str, Value]:
    return {
        "FORCE_VERIFYING_SIGNATURE": "true",
        "ENFORCE_LANGGENIUS_PLUGIN_SIGNATURES": "true",
        "THIRD_PARTY_SIGNATURE_VERIFICATION_ENABLED": "true" if dify.plugin_key else "false",
        "THIRD_PARTY_SIGNATURE_VERIFICATION_PUBLIC_KEYS": f"{SIGNERS}/key.pem" if dify.plugin_key else "",
    }


def _plugin_database() -> dict[str, Value]:
    one = consumers.consumer("dify-plugin")
    access = consumers.secret_name(consumers.DATABASE, one)
    return {
        "DB_TYPE": "postgresql",
        "DB_HOST": Ref(access, "PGHOST"),
        "DB_PORT": Ref(access, "PGPORT"),
        "DB_USERNAME": Ref(access, "PGUSER"),
        "DB_PASSWORD": Ref(access, "PGPASSWORD"),
        "DB_DATABASE": one.databases[0],
        # All that every version knows; with an authority to hold against, its driver verifies all the same.
        "DB_SSL_MODE": "require",
        "PGSSLROOTCERT": f"{CERTIFICATES}/{consumers.AUTHORITY}",
    }


def _plugin_broker() -> dict[str, Value]:
    access = consumers.secret_name(consumers.BROKER, consumers.consumer("dify-plugin"))
    keys = {"HOST": "HOST", "PORT": "PORT", "USERNAME": "USER", "PASSWORD": "PASSWORD"}
    found: dict[str, Value] = {
        f"REDIS_{ours}": Ref(access, f"VALKEY_{theirs}") for ours, theirs in keys.items()
    }
    return {**found, "REDIS_DB": "2"}


def _plugin_files(settings: Settings) -> dict[str, Value]:
    one, store = consumers.consumer("dify-plugin"), consumers.store(settings)
    access = consumers.secret_name(consumers.STORE, one)
    return {
        "PLUGIN_STORAGE_TYPE": "aws_s3",
        "PLUGIN_STORAGE_OSS_BUCKET": one.grants[0].bucket,
        "S3_USE_AWS": "false",
        "S3_USE_AWS_MANAGED_IAM": "false",
        "S3_USE_PATH_STYLE": "true",
        "S3_ENDPOINT": store.endpoint,
        "AWS_REGION": store.region,
        "AWS_ACCESS_KEY": Ref(access, "AWS_ACCESS_KEY_ID"),
        "AWS_SECRET_KEY": Ref(access, "AWS_SECRET_ACCESS_KEY"),
    }


def sandbox(settings: Settings, dify: Dify) -> Environment:
    """Where users' code runs. Without hosts that it may reach it has no network at all."""
    plain: dict[str, Value] = {
        "API_KEY": stack(CODE),
        "DEBUG": "false",
        "GIN_MODE": "release",
        "SANDBOX_PORT": str(settings.ports["code_sandbox"]),
        "MAX_WORKERS": str(CODE_WORKERS),
        "MAX_REQUESTS": str(CODE_REQUESTS),
        "WORKER_TIMEOUT": str(CODE_SECONDS),
    }
    if not dify.internet:
        return {**plain, "ENABLE_NETWORK": "false"}
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), service(PROXY, settings, "ssrf_proxy"))
    return {**plain, "ENABLE_NETWORK": "true", **proxies}
