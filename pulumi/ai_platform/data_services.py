"""Component: everything that keeps something for others, in the order in which it needs each other."""

from dataclasses import dataclass

import pulumi

from ai_platform import consumers
from ai_platform.manifest import create
from ai_platform.mlflow import Mlflow, MlflowArgs
from ai_platform.namespaces import namespaces
from ai_platform.object_store import ObjectStore, ObjectStoreArgs
from ai_platform.postgresql import Postgresql, PostgresqlArgs
from ai_platform.secrets import Secrets
from ai_platform.settings import Settings
from ai_platform.valkey import Valkey, ValkeyArgs


@dataclass(frozen=True)
class DataServicesArgs:
    """``ready`` stands before any pod is made."""

    settings: Settings
    secrets: Secrets
    ready: list[pulumi.Resource]


class DataServices(pulumi.ComponentResource):
    """PostgreSQL, Valkey, the object store, MLflow, and what each consumer needs to reach its own. Outputs:
    ``ready`` (consumers may start), ``addresses``."""

    ready: list[pulumi.Resource]
    addresses: dict[str, str]

    def __init__(self, name: str, args: DataServicesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bedplate:platform:DataServices", name, None, opts)
        settings, secrets = args.settings, args.secrets
        own = pulumi.ResourceOptions(parent=self)
        access = self._access(args)
        ready = [*args.ready, *access]
        database = Postgresql("postgresql", PostgresqlArgs(settings, secrets, ready), own)
        valkey = Valkey("valkey", ValkeyArgs(settings, secrets, ready), own)
        stored = ObjectStoreArgs(settings, secrets, [*ready, *database.ready])
        store = ObjectStore("object-store", stored, own)
        self.ready = [*access, *database.ready, *valkey.ready, *store.ready]
        mlflow = Mlflow("mlflow", MlflowArgs(settings, secrets, [*args.ready, *self.ready]), own)
        found = {"object_store": store.endpoint, "mlflow": mlflow.address}
        if settings.data:
            for service in (consumers.DATABASE, consumers.BROKER, consumers.CACHE):
                found[service] = consumers.endpoint(service, settings)
        self.addresses = {service: address for service, address in found.items() if address}
        self.register_outputs({"addresses": self.addresses})

    def _access(self, args: DataServicesArgs) -> list[pulumi.Resource]:
        after = pulumi.ResourceOptions(parent=self, depends_on=args.ready)
        spaces = {space.name for space in namespaces(args.settings)}
        return [
            create(manifest, after)
            for one in consumers.present(spaces)
            for manifest in consumers.access(one, args.settings, args.secrets)
        ]
