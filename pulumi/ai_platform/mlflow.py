"""Component: what was tried, and which model came of it."""

from dataclasses import dataclass

import pulumi

from ai_platform import data_parts
from ai_platform import mlflow_objects as render
from ai_platform.manifest import create, create_all
from ai_platform.monitoring_parts import OWNER, account, service
from ai_platform.priorities import disruption_budget
from ai_platform.secrets import Secrets
from ai_platform.settings import Settings


@dataclass(frozen=True)
class MlflowArgs:
    """``ready`` stands before any pod is made: its databases and its bucket."""

    settings: Settings
    secrets: Secrets
    ready: list[pulumi.Resource]


class Mlflow(pulumi.ComponentResource):
    """Tracking and register; nothing where `platform_data.mlflow` is left out. Outputs: ``address``."""

    address: str

    def __init__(self, name: str, args: MlflowArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bedplate:platform:Mlflow", name, None, opts)
        self.address = ""
        part = data_parts.program_parts(args.settings).get(render.APP)
        if part:
            settings, secrets = args.settings, args.secrets
            port = settings.ports["mlflow"]
            after = pulumi.ResourceOptions(parent=self, depends_on=args.ready)
            needed = [account(part), render.secret(settings, secrets, part), render.before(part)]
            made = create_all(needed, after)
            create(service(part, {"http": port}), after)
            if part.pods > 1:
                budget = disruption_budget(part.app, data_parts.INSTANCE, part.namespace, OWNER)
                create(budget, after)
            last = pulumi.ResourceOptions(parent=self, depends_on=[*args.ready, *made])
            create(render.deployment(settings, part, render.generation(secrets)), last)
            self.address = f"http://{part.app}.{part.namespace}.svc:{port}"
        self.register_outputs({"address": self.address})
