"""Component: queues that must not be lost, and what may be forgotten."""

from dataclasses import dataclass

import pulumi

from ai_platform import data_parts
from ai_platform import valkey_objects as render
from ai_platform.consumers import BROKER, CACHE
from ai_platform.data_parts import headless, primary_service
from ai_platform.manifest import create, create_all
from ai_platform.monitoring_parts import OWNER, account
from ai_platform.priorities import disruption_budget
from ai_platform.scripts import config_map, read
from ai_platform.secrets import Secrets
from ai_platform.settings import Settings


@dataclass(frozen=True)
class ValkeyArgs:
    """``ready`` stands before any pod is made."""

    settings: Settings
    secrets: Secrets
    ready: list[pulumi.Resource]


class Valkey(pulumi.ComponentResource):
    """Two instances with users of their own. Outputs: ``ready`` (both answer)."""

    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: ValkeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bedplate:platform:Valkey", name, None, opts)
        self._args, self._parts = args, data_parts.program_parts(args.settings)
        self.ready = []
        if args.settings.data:
            self.ready = [self._instance(BROKER), self._instance(CACHE)]
        self.register_outputs({})

    def _instance(self, app: str) -> pulumi.CustomResource:
        settings, secrets, part = self._args.settings, self._args.secrets, self._parts[app]
        port = {"valkey": settings.ports["valkey"]}
        after = pulumi.ResourceOptions(parent=self, depends_on=self._args.ready)
        program = config_map(app, part.namespace, read("valkey.sh"), part.labels)
        made = create_all([account(part), program, render.secret(secrets, part)], after)
        create(headless(part, port), after)
        keeps = app == BROKER
        create(primary_service(part, port, data_parts.data(settings).valkey.primary if keeps else 0), after)
        if part.pods > 1:
            create(disruption_budget(app, data_parts.INSTANCE, part.namespace, OWNER), after)
        rendered = render.broker if keeps else render.cache
        workload = rendered(settings, part, program, render.generation(secrets, app))
        last = pulumi.ResourceOptions(parent=self, depends_on=[*self._args.ready, *made])
        return create(workload, last)
