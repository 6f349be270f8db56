"""Component: objects of everybody, each bucket for its own."""

from dataclasses import dataclass

import pulumi

from ai_platform import consumers, data_parts, waits
from ai_platform import object_store_objects as render
from ai_platform.data_flows import FILER, GRPC, MASTER, STORE, STORE_SETUP, VOLUME
from ai_platform.data_parts import headless
from ai_platform.manifest import create, create_all, patience
from ai_platform.monitoring_parts import OWNER, account, service
from ai_platform.priorities import disruption_budget
from ai_platform.secrets import Secrets
from ai_platform.settings import Settings


@dataclass(frozen=True)
class ObjectStoreArgs:
    """``ready`` stands before any pod is made: the database that filers keep their names in, too."""

    settings: Settings
    secrets: Secrets
    ready: list[pulumi.Resource]


class ObjectStore(pulumi.ComponentResource):
    """SeaweedFS, unless the site has an object store; its buckets, and the gate that either has to pass.
    Outputs: ``ready`` (the gate was passed), ``endpoint``."""

    ready: list[pulumi.Resource]
    endpoint: str

    def __init__(self, name: str, args: ObjectStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bedplate:platform:ObjectStore", name, None, opts)
        self._args, self._parts = args, data_parts.program_parts(args.settings)
        self._after = pulumi.ResourceOptions(parent=self, depends_on=args.ready)
        self.ready, self.endpoint = [], ""
        store = args.settings.object_store
        if store:
            self.endpoint = store.endpoint
            pods = self._programs() if store.own else []
            self._setup(pods)
        self.register_outputs({"endpoint": self.endpoint})

    def _programs(self) -> list[pulumi.CustomResource]:
        settings, secrets, parts = self._args.settings, self._args.secrets, self._parts
        config, ports = render.filer_store(parts[FILER]), settings.ports
        noted = f"{render.generation(secrets)}.{render.signing_generation(secrets)}"
        noted += f".{consumers.generation(consumers.consumer('filer'), secrets)}"
        made = create_all(
            [
                render.identities_secret(secrets, parts[STORE]),
                render.signing_secret(secrets, parts[STORE]),
                config,
                waits.program(parts[FILER]),
                *(account(parts[app]) for app in (MASTER, VOLUME, FILER, STORE)),
            ],
            self._after,
        )
        for app, port in ((MASTER, "s3_master"), (VOLUME, "s3_volume"), (FILER, "s3_filer")):
            create(headless(parts[app], {"http": ports[port], "grpc": ports[port] + GRPC}), self._after)
        create(service(parts[STORE], {"http": ports["s3"]}), self._after)
        for app in (MASTER, VOLUME, FILER, STORE):
            part = parts[app]
            if part.pods > 1:
                create(disruption_budget(app, data_parts.INSTANCE, part.namespace, OWNER), self._after)
        found: list[pulumi.CustomResource] = []
        for app in (MASTER, VOLUME, FILER, STORE):  # in the order in which they find each other
            after = pulumi.ResourceOptions(parent=self, depends_on=[*self._args.ready, *made, *found])
            found.append(create(render.workload(app, settings, parts, config, noted), after))
        return found

    def _setup(self, pods: list[pulumi.CustomResource]) -> None:
        part, secrets = self._parts[STORE_SETUP], self._args.secrets
        program = render.setup_program(part)
        made = create_all([account(part), program, render.setup_secret(secrets, part)], self._after)
        after = pulumi.ResourceOptions(
            parent=self,
            depends_on=[*self._args.ready, *made, *pods],
            custom_timeouts=patience(data_parts.ACTIVE_DEADLINE),
        )
        noted = render.generation(secrets)
        self.ready = [create(render.setup(self._args.settings, part, program, noted), after)]
