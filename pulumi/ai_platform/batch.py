"""Component: work that gives way."""

from dataclasses import dataclass

import pulumi

from ai_platform import batch_objects, names, pods
from ai_platform.manifest import create
from ai_platform.settings import Settings


@dataclass(frozen=True)
class BatchArgs:
    """What runs; ``ready`` stands before any job is made."""

    settings: Settings
    ready: list[pulumi.Resource]


class Batch(pulumi.ComponentResource):
    """Every batch job of the environment. Outputs: ``jobs`` (their names)."""

    jobs: list[str]

    def __init__(self, name: str, args: BatchArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bedplate:platform:Batch", name, None, opts)
        self.jobs = [job.name for job in args.settings.batch]
        after = pulumi.ResourceOptions(parent=self, depends_on=args.ready)
        labels = names.labels(batch_objects.APP)
        identity = create(pods.service_account(batch_objects.APP, names.BATCH, labels), after)
        # What a job runs cannot be changed in place, and its name is taken until it is gone.
        replaced = pulumi.ResourceOptions(
            parent=self, depends_on=[*args.ready, identity], delete_before_replace=True
        )
        for job in args.settings.batch:
            create(batch_objects.batch_object(job, args.settings), replaced)
        self.register_outputs({"jobs": self.jobs})
