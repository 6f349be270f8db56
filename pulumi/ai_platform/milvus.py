"""Components: vectors (Milvus, Chroma), and the documents that they are made of."""

from dataclasses import dataclass

import pulumi

from ai_platform import data_parts, knowledge_objects, milvus_config, milvus_parts
from ai_platform import milvus_objects as render
from ai_platform.data_parts import headless
from ai_platform.manifest import Manifest, create, create_all, patience
from ai_platform.milvus_parts import CHROMA, ETCD, MILVUS, SETUP, SYNC
from ai_platform.monitoring_parts import OWNER, Part, account, service
from ai_platform.priorities import disruption_budget
from ai_platform.secrets import Secrets
from ai_platform.settings import Settings


@dataclass(frozen=True)
class VectorsArgs:
    """``ready`` stands before any pod is made: the bucket, and the gate of the object store."""

    settings: Settings
    secrets: Secrets
    ready: list[pulumi.Resource]


class Vectors(pulumi.ComponentResource):
    """Milvus, Chroma and the knowledge-base sync; nothing of what the inventory leaves out. Outputs:
    ``ready`` (users may log in), ``addresses``."""

    ready: list[pulumi.Resource]
    addresses: dict[str, str]

    def __init__(self, name: str, args: VectorsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bedplate:platform:Vectors", name, None, opts)
        self._args, self._parts = args, milvus_parts.parts(args.settings)
        self.ready, self.addresses = [], {}
        if args.settings.milvus:
            self._milvus()
        if args.settings.chroma:
            self._chroma()
        if args.settings.knowledge:
            self._knowledge()
        self.register_outputs({"addresses": self.addresses})

    def _milvus(self) -> None:
        settings, secrets, ports = self._args.settings, self._args.secrets, self._args.settings.ports
        main, etcd, setup = self._parts[MILVUS], self._parts[ETCD], self._parts[SETUP]
        held, users = render.generations(secrets)
        before = create_all(
            [account(etcd), headless(etcd, {"client": ports["etcd_client"], "peer": ports["etcd_peer"]})],
            self._after(),
        )
        self._budget(etcd)
        metadata = create(render.etcd(settings, etcd), self._after(before))
        config = render.config_map(settings, main)
        shared = create_all([config, render.first_secret(secrets, main)], self._after())
        create(service(main, {"grpc": ports["milvus"]}), self._after())
        made: list[pulumi.Resource] = []
        for app in milvus_parts.ROLES:
            if app in self._parts:
                part = self._parts[app]
                own = create(account(part), self._after())
                self._budget(part)
                pods = render.program(settings, part, config, held)
                made.append(create(pods, self._after([metadata, *shared, own])))
        files = render.setup_program(settings, setup)
        needed = create_all([account(setup), files, render.setup_secret(secrets, setup)], self._after())
        limit = pulumi.ResourceOptions(custom_timeouts=patience(data_parts.ACTIVE_DEADLINE))
        after = pulumi.ResourceOptions.merge(self._after([*made, *needed]), limit)
        self.ready = [create(render.setup(settings, setup, files, users), after)]
        self.addresses[MILVUS] = milvus_config.address(settings)

    def _chroma(self) -> None:
        settings, part = self._args.settings, self._parts[CHROMA]
        port = {"http": settings.ports["chroma"]}
        before: list[Manifest] = [account(part), headless(part, port), service(part, port)]
        create(render.chroma(settings, part), self._after(create_all(before, self._after())))
        self.addresses[CHROMA] = f"http://{part.app}.{part.namespace}.svc:{settings.ports['chroma']}"

    def _knowledge(self) -> None:
        settings, secrets, part = self._args.settings, self._args.secrets, self._parts[SYNC]
        files, noted = knowledge_objects.program(part), knowledge_objects.generation(secrets)
        before = [account(part), files, knowledge_objects.secret(secrets, part)]
        after = self._after([*create_all(before, self._after()), *self.ready])
        for wanted in settings.knowledge:
            create(knowledge_objects.cron_job(settings, part, wanted, files, noted), after)

    def _budget(self, part: Part) -> None:
        if part.pods > 1:
            create(disruption_budget(part.app, part.instance, part.namespace, OWNER), self._after())

    def _after(
        self, made: list[pulumi.CustomResource] | list[pulumi.Resource] | None = None
    ) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=[*self._args.ready, *(made or [])])
