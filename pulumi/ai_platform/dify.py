"""Component: Dify, where people build what talks to models."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pulumi

from ai_platform import consumers, dify_edges, dify_objects, dify_parts, dify_setup_objects, names
from ai_platform import dify_environment as words
from ai_platform.manifest import Manifest, create, create_all, patience
from ai_platform.monitoring_parts import Part, account, service
from ai_platform.priorities import disruption_budget
from ai_platform.secrets import Secrets, secret
from ai_platform.settings import Settings

Render = Callable[[Settings, Part, str], Manifest]
LATE_SECONDS = 1800  # that Pulumi waits for a program: what it needs may itself be late
API_SECRETS = (words.SESSIONS, words.FIRST, words.DAEMON, words.INNER, words.CODE, words.VECTORS)
OURS = (*API_SECRETS, words.ADMINISTRATOR, words.MODELS)


@dataclass(frozen=True)
class DifyArgs:
    """What it runs on; ``ready`` stands before any pod is made: databases, buckets, rights."""

    settings: Settings
    secrets: Secrets
    ready: Sequence[pulumi.Resource]


class Dify(pulumi.ComponentResource):
    """Everything of Dify in the order in which it starts: tables, plugin daemon, API, workers, pages, set-up;
    nothing where `platform_dify` is left out. Outputs: ``addresses`` (program to URL inside the cluster)."""

    addresses: dict[str, str]

    def __init__(self, name: str, args: DifyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bedplate:platform:Dify", name, None, opts)
        self._settings, self._secrets = args.settings, args.secrets
        self._parts = dify_parts.parts(args.settings)
        self.addresses = {}
        if self._parts:
            self._common = self._shared(args.ready)
            self._build()
        self.register_outputs({"addresses": self.addresses})

    def _build(self) -> None:
        daemon, inner = (words.DAEMON, words.INNER), "dify-plugin"
        self._proxy()
        self._program(words.SANDBOX, dify_edges.sandbox, "code_sandbox", self._generation((words.CODE,)))
        told = self._generation(API_SECRETS, "dify")
        tables = self._job(dify_objects.migrate(self._settings, self._parts[words.MIGRATE], told))
        plugins = self._program(
            words.PLUGINS, dify_edges.plugins, "dify_plugins", self._generation(daemon, inner), tables
        )
        api = self._program(words.API, dify_objects.api, "dify_api", told, tables)
        self._program(words.WORKER, dify_objects.worker, "", told, tables, api)
        self._program(words.BEAT, dify_objects.beat, "", told, tables, api)
        self._program(words.WEB, dify_objects.web, "dify_web", "0", api)
        self._set_up(plugins, api)

    def _shared(self, ready: Sequence[pulumi.Resource]) -> list[pulumi.Resource]:
        """Identities, our secrets, programs that run beside theirs."""
        opts = pulumi.ResourceOptions(parent=self, depends_on=list(ready))
        made = [account(part) for part in self._parts.values()]
        labels = names.labels(dify_parts.INSTANCE)
        made += [secret(name, names.DIFY, self._secrets.value(name), labels) for name in OURS]
        made.append(secret(words.CODE, names.SANDBOX, self._secrets.value(words.CODE), labels))
        made.append(dify_parts.programs(names.DIFY))
        if dify_parts.dify(self._settings).plugin_key:
            made.append(dify_edges.signer(self._settings, self._parts[words.PLUGINS]))
        return [*ready, *create_all(made, opts)]

    def _generation(self, own: Sequence[str], consumer: str = "") -> str:
        """Changes when one of these secrets is rotated."""
        found = [self._secrets.generation(name) for name in own]
        if consumer:
            found.append(consumers.generation(consumers.consumer(consumer), self._secrets))
        return ".".join(found)

    def _proxy(self) -> None:
        part = self._parts[words.PROXY]
        config = dify_edges.proxy_config(self._settings, part)
        made = create(config, self._opts())

        def render(settings: Settings, part: Part, _: str) -> Manifest:
            return dify_edges.proxy(settings, part, config)

        self._program(words.PROXY, render, "ssrf_proxy", "", made)

    def _program(
        self, app: str, render: Render, port: str, generation: str, *after: pulumi.Resource
    ) -> pulumi.Resource:
        """Its address, its pods, and how many of several may be away at once."""
        part = self._parts[app]
        if port:
            number = self._settings.ports[port]
            create(service(part, {"http": number}), self._opts())
            self.addresses[app] = f"http://{app}.{part.namespace}.svc:{number}"
        if part.pods > 1:
            create(disruption_budget(app, part.instance, part.namespace, "platform"), self._opts())
        return create(render(self._settings, part, generation), self._opts(*after, wait=LATE_SECONDS))

    def _job(self, manifest: Manifest, *after: pulumi.Resource) -> pulumi.Resource:
        return create(manifest, self._opts(*after, wait=LATE_SECONDS))

    def _set_up(self, *after: pulumi.Resource) -> None:
        part = self._parts[words.SETUP]
        files = dify_setup_objects.programs(self._settings, part)
        made = create(files, self._opts())
        wanted = (words.FIRST, words.ADMINISTRATOR, words.MODELS)
        generation = self._generation(wanted, "dify-plugin")
        self._job(dify_setup_objects.job(self._settings, part, files, generation), made, *after)

    def _opts(self, *after: pulumi.Resource, wait: int = 0) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=self,
            depends_on=[*self._common, *after],
            custom_timeouts=patience(wait) if wait else None,
        )
