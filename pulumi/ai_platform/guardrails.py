"""Component: what every workload lives within."""

from dataclasses import dataclass

import pulumi

from ai_platform import admission, names, namespaces, quotas, roles
from ai_platform.flows import flows
from ai_platform.manifest import Manifest, create, create_all
from ai_platform.network_policies import network_policies
from ai_platform.priorities import priority_classes
from ai_platform.settings import Settings


@dataclass(frozen=True)
class GuardrailsArgs:
    """The environment whose guardrails these are."""

    settings: Settings


class Guardrails(pulumi.ComponentResource):
    """Namespaces with Pod Security, quotas, limits, network policies, roles, admission rules, priorities.

    Outputs: ``namespaces`` (name to resource), ``ready`` (what a workload depends on)."""

    namespaces: dict[str, pulumi.CustomResource]
    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: GuardrailsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bedplate:platform:Guardrails", name, None, opts)
        mine = pulumi.ResourceOptions(parent=self)
        wanted = namespaces.namespaces(args.settings)
        self.namespaces = {space.name: create(namespaces.render(space), mine) for space in wanted}
        inside = pulumi.ResourceOptions(parent=self, depends_on=list(self.namespaces.values()))
        self.ready = [
            *self.namespaces.values(),
            *create_all(cluster_wide(args.settings), mine),
            *create_all(per_namespace(args.settings), inside),
        ]
        self.register_outputs({"namespaces": sorted(self.namespaces)})


def cluster_wide(settings: Settings) -> list[Manifest]:
    """Guardrails that need no namespace: priorities and admission."""
    policies = [rendered for policy in admission.policies(settings) for rendered in admission.render(policy)]
    return priority_classes() + policies


def per_namespace(settings: Settings) -> list[Manifest]:
    """Guardrails of namespaces, and the roles that are bound in them."""
    spaces = namespaces.namespaces(settings)
    demands = quotas.demands(settings)
    largest = [(group.cpus, group.memory) for group in settings.node_groups.values()]
    cpus, memory = max(c for c, _ in largest), max(m for _, m in largest)
    nameless = {space.name for space in spaces if not space.resolves}
    rendered = network_policies([space.name for space in spaces], flows(settings), nameless)
    for space in spaces:
        rendered.append(quotas.limit_range(space.name, cpus, memory))
        if space.name in demands:
            rendered.append(quotas.quota(space.name, demands[space.name]))
    rendered.append(quotas.no_interactive(names.BATCH))
    tenants = [space.name for space in spaces if space.tenant]
    for role in roles.roles(settings.access, tenants):
        rendered += roles.render(role)
    return rendered
