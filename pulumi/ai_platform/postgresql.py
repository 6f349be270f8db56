"""Component: databases, each for its own."""

from dataclasses import dataclass

import pulumi

from ai_platform import data_parts
from ai_platform import postgresql_objects as render
from ai_platform.consumers import DATABASE
from ai_platform.data_flows import ARCHIVE, DATABASE_SETUP
from ai_platform.data_parts import headless, primary_service
from ai_platform.manifest import create, create_all, patience
from ai_platform.monitoring_parts import OWNER, account
from ai_platform.priorities import disruption_budget
from ai_platform.secrets import Secrets
from ai_platform.settings import Settings


@dataclass(frozen=True)
class PostgresqlArgs:
    """``ready`` stands before any pod is made."""

    settings: Settings
    secrets: Secrets
    ready: list[pulumi.Resource]


class Postgresql(pulumi.ComponentResource):
    """One PostgreSQL that is written to, standbys, the archive of its log, and a job that makes roles and
    databases. Outputs: ``ready`` (they are made)."""

    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: PostgresqlArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bedplate:platform:Postgresql", name, None, opts)
        self._args, self._parts = args, data_parts.program_parts(args.settings)
        self._after = pulumi.ResourceOptions(parent=self, depends_on=args.ready)
        self.ready = []
        if args.settings.data:
            self._build()
        self.register_outputs({})

    def _build(self) -> None:
        settings, secrets = self._args.settings, self._args.secrets
        part, setup = self._parts[DATABASE], self._parts[DATABASE_SETUP]
        kept, port = data_parts.data(settings), {"postgresql": settings.ports["postgresql"]}
        held, everything = render.generations(secrets)
        program = render.program(part)
        made = create_all([account(part), program, render.secret(secrets, part)], self._after)
        create(headless(part, port), self._after)
        create(primary_service(part, port, kept.postgresql.primary), self._after)
        if part.pods > 1:
            budget = disruption_budget(part.app, data_parts.INSTANCE, part.namespace, OWNER)
            create(budget, self._after)
        servers = create(render.servers(settings, part, program, held), self._depending(made))
        before = create_all([account(setup), render.setup_secret(secrets, setup)], self._after)
        limit = pulumi.ResourceOptions(custom_timeouts=patience(data_parts.ACTIVE_DEADLINE))
        after = pulumi.ResourceOptions.merge(self._depending([servers, *before]), limit)
        done = create(render.setup(settings, setup, everything), after)
        self.ready = [done]
        if kept.archive:
            archive = self._parts[ARCHIVE]
            text = render.archive_program(archive)
            found = create_all([account(archive), text], self._after)
            after = self._depending([done, *found])
            create(render.archive(settings, archive, kept.archive, text, held), after)

    def _depending(self, made: list[pulumi.CustomResource]) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=[*self._args.ready, *made])
