"""Component: what can be lost without losing it."""

from dataclasses import dataclass

import pulumi

from ai_platform import backup_items, backup_objects, names, pods
from ai_platform.backup_objects import APP, CREDENTIAL, PASSWORD, Jobs
from ai_platform.manifest import create_all
from ai_platform.secrets import Secrets
from ai_platform.settings import Settings


@dataclass(frozen=True)
class BackupsArgs:
    """What is backed up; ``ready`` stands before any job is made."""

    settings: Settings
    secrets: Secrets
    ready: list[pulumi.Resource]


class Backups(pulumi.ComponentResource):
    """A nightly job and a weekly drill for each item, and a daily look at the repository; nothing where
    `platform_backups` is left out. Outputs: ``jobs`` (their names)."""

    jobs: list[str]

    def __init__(self, name: str, args: BackupsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bedplate:platform:Backups", name, None, opts)
        self.jobs = []
        if args.settings.backups:
            self._build(args)
        self.register_outputs({"jobs": self.jobs})

    def _build(self, args: BackupsArgs) -> None:
        settings, backups, secrets = args.settings, args.settings.backups, args.secrets
        assert backups is not None
        items = backup_items.items(settings)
        after = pulumi.ResourceOptions(parent=self, depends_on=args.ready)
        sources = {
            "program": backup_objects.program(),
            "config": backup_objects.configuration(settings, backups, items),
        }
        made = create_all(
            [
                pods.service_account(APP, names.BACKUP, names.labels(APP)),
                *sources.values(),
                backup_objects.repository(backups, secrets.value(PASSWORD), secrets.value(CREDENTIAL)),
                backup_objects.kept(secrets.values),
            ],
            after,
        )
        made += create_all([backup_objects.claim(backups, item) for item in items], after)
        jobs = Jobs(settings, backups, sources)
        wanted = [do(item) for item in items for do in (jobs.run, jobs.drill)]
        wanted.append(jobs.verify())
        create_all(wanted, pulumi.ResourceOptions(parent=self, depends_on=[*args.ready, *made]))
        self.jobs = [job["metadata"]["name"] for job in wanted]
