"""Component: storage classes over the hosts' tiers, the model store, shared files, the way to the object
store."""

from dataclasses import dataclass

import pulumi

from ai_platform import daemons
from ai_platform import storage_objects as render
from ai_platform.manifest import create, create_all, patience
from ai_platform.settings import ObjectStore, Settings


@dataclass(frozen=True)
class StorageArgs:
    """What stands before claims are made is ``ready``."""

    settings: Settings
    ready: list[pulumi.Resource]


class Storage(pulumi.ComponentResource):
    """Outputs: ``classes`` (tier to StorageClass name), ``ready`` (claims that pods mount),
    ``object_store``."""

    classes: dict[str, str]
    ready: list[pulumi.Resource]
    object_store: ObjectStore | None

    def __init__(self, name: str, args: StorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bedplate:platform:Storage", name, None, opts)
        settings = args.settings
        mine = pulumi.ResourceOptions(parent=self)
        after = pulumi.ResourceOptions(parent=self, depends_on=args.ready)
        self.classes = {tier: render.class_name(tier) for tier in settings.tiers}
        create_all([render.storage_class(tier) for tier in settings.tiers], mine)
        limit = pulumi.ResourceOptions(custom_timeouts=patience(daemons.rollout_seconds(settings)))
        create_all(render.discovery(settings), pulumi.ResourceOptions.merge(after, limit))
        self.ready = []
        for volume, claim in render.claims(settings):
            made = create(volume, mine)
            bound = pulumi.ResourceOptions(parent=self, depends_on=[*args.ready, made])
            self.ready.append(create(claim, bound))
        self.object_store = settings.object_store
        self.register_outputs({"classes": self.classes})
