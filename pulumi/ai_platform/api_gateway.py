"""Component: the API gateway, through which alone models are asked."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from ai_platform import api_objects as render
from ai_platform import consumers, names, pods
from ai_platform.api_settings import Api
from ai_platform.manifest import Manifest, create, create_all, patience
from ai_platform.priorities import disruption_budget
from ai_platform.secrets import Secrets, secret
from ai_platform.settings import Settings
from ai_platform.vllm_objects import KEY as MODELS_SECRET

LATE_SECONDS = 900  # that Pulumi waits: Valkey, which it needs, may itself be late


@dataclass(frozen=True)
class ApiGatewayArgs:
    """Who may ask what; ``ready`` stands before any pod is made: rights, Valkey."""

    settings: Settings
    secrets: Secrets
    ready: Sequence[pulumi.Resource]


class ApiGateway(pulumi.ComponentResource):
    """Nothing where `platform_api` is left out. Outputs: ``address`` (URL inside the cluster)."""

    address: str

    def __init__(self, name: str, args: ApiGatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bedplate:platform:ApiGateway", name, None, opts)
        self._settings, self._secrets, self._ready = args.settings, args.secrets, list(args.ready)
        self.address = ""
        if args.settings.api:
            self._build(args.settings, args.settings.api)
            self.address = (
                f"http://{render.APP}.{names.GATEWAY}.svc:{args.settings.ports['model_gateway']}/v1"
            )
        self.register_outputs({"address": self.address})

    def _build(self, settings: Settings, api: Api) -> None:
        opts = pulumi.ResourceOptions(parent=self, depends_on=self._ready)
        made = create_all(self._before(settings, api), opts)
        reach = [render.service(settings), *([render.outside(settings, api)] if api.outside else [])]
        reach += [render.addresses(service, settings.ports["vllm"]) for service in settings.vllm]
        create_all(reach, opts)
        create(disruption_budget(render.APP, render.INSTANCE, names.GATEWAY, render.OWNER), opts)
        last = pulumi.ResourceOptions(
            parent=self, depends_on=[*self._ready, *made], custom_timeouts=patience(LATE_SECONDS)
        )
        create(render.deployment(settings, api, self._generation(settings, api)), last)

    def _before(self, settings: Settings, api: Api) -> list[Manifest]:
        """What a pod needs to begin."""
        labels = render.labels()
        found = [
            pods.service_account(render.APP, names.GATEWAY, labels),
            render.programs(),
            render.proxy_config(settings, api),
            render.policy(settings, api),
            render.keys(api, self._secrets),
        ]
        if settings.vllm:
            key = self._secrets.value(MODELS_SECRET)
            found.append(secret(MODELS_SECRET, names.GATEWAY, key, labels))
        if api.outside:
            found.append(render.certificate(self._secrets))
        if api.issuer and api.issuer.authority:
            found.append(render.trust(api))
        return found

    def _generation(self, settings: Settings, api: Api) -> str:
        """Changes when a secret is rotated that pods read only once."""
        wanted = [MODELS_SECRET] if settings.vllm else []
        wanted += [render.CERTIFICATE] if api.outside else []
        own = [self._secrets.generation(name) for name in wanted]
        return ".".join([*own, consumers.generation(consumers.consumer("gateway"), self._secrets)])
