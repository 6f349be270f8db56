"""From the inventory's records to what the gateway's two programs read: who may use what, and where it is."""

from typing import Any

from ai_platform import dify_site, names
from ai_platform.api_settings import Api, ApiModel
from ai_platform.namespaces import namespace_of
from ai_platform.settings import Settings, TritonModel, TritonService, VllmService
from bedplate.api.envoy import Issuer, Listener, Proxy, Upstream

PODS = "pods"  # end of the names of Services that give every pod's address
POLICY, ADMIN = 9000, 9901  # on the pod's own loopback only
CONFIG, TLS, TRUST = "/etc/envoy", "/etc/gateway-tls", "/etc/gateway-trust"
LOG = "/var/lib/gateway/access.log"
MODELS_KEY = "VLLM_API_KEY"


def embedding(service: TritonService) -> TritonModel | None:
    """The model of a Triton service that turns a text into a vector; None where it has none."""
    for model in service.models:
        texts = [tensor.type for tensor in model.inputs] == ["STRING"]
        if texts and len(model.outputs) == 1 and model.outputs[0].type in ("FP16", "FP32"):
            return model
    return None


def names_of_models(settings: Settings) -> set[str]:
    """Every name under which clients may ask for a model."""
    own = {model.name for model in settings.api.models} if settings.api else set()
    triton = {service.name for service in settings.triton if embedding(service)}
    return own | triton | {service.name for service in settings.vllm}


def document(settings: Settings, api: Api) -> dict[str, Any]:
    """policy.json, as `bedplate.api.policy.parse` reads it."""
    person: dict[str, str] = {}
    if api.issuer:
        person = {"user_claim": api.issuer.user_claim, "groups_claim": api.issuer.groups_claim}
    return {
        "models": _models(settings, api),
        "roles": {r.name: {"models": list(r.models), "limits": dict(r.limits)} for r in api.roles},
        "consumers": {c.name: {"role": c.role, "limits": dict(c.limits)} for c in api.consumers},
        "groups": {group: role.name for role in api.roles for group in role.groups},
        "person": person,
    }


def keys(api: Api, digests: dict[str, str]) -> list[dict[str, str]]:
    """keys.json. ``digests`` are the SHA-256 of the stack's secrets, by name."""
    found = []
    for consumer in api.consumers:
        if consumer.secret:
            entry = {"id": consumer.secret, "sha256": digests[consumer.secret]}
            found.append(entry | {"consumer": consumer.name})
        found += [vars(key) | {"consumer": consumer.name} for key in consumer.keys]
    return found


def proxy(settings: Settings, api: Api) -> Proxy:
    """The proxy of every replica."""
    ports = settings.ports
    listeners = [Listener("inside", ports["model_gateway"])]
    if api.outside:
        certificate, key = f"{TLS}/tls.crt", f"{TLS}/tls.key"
        port = ports["model_gateway_tls"]
        sites = (dify_site.site(settings, settings.dify),) if settings.dify else ()
        listeners.append(Listener("outside", port, certificate, key, api.proxies, sites))
    return Proxy(
        upstreams=tuple(_upstreams(settings)),
        listeners=tuple(listeners),
        log=LOG,
        body=api.body,
        policy=POLICY,
        admin=ADMIN,
        metrics=ports["model_gateway_metrics"],
        issuer=_issuer(api),
    )


def backend(service: VllmService) -> str:
    """Name of a vLLM service as a back end."""
    return f"vllm-{service.name}"


def _issuer(api: Api) -> Issuer | None:
    if api.issuer is None:
        return None
    own = f"{TRUST}/issuer.pem" if api.issuer.authority else "/etc/ssl/certs/ca-certificates.crt"
    return Issuer(api.issuer.url, api.issuer.audience, api.issuer.keys, own)


def _upstreams(settings: Settings) -> list[Upstream]:
    port = settings.ports["vllm"]
    found = [
        Upstream(backend(s), f"{backend(s)}-{PODS}.{namespace_of(s)}.svc.cluster.local", port, MODELS_KEY)
        for s in settings.vllm
    ]
    # What speaks another protocol is asked by the gate, which translates.
    found += [
        Upstream(f"triton-{s.name}", "127.0.0.1", POLICY, bridged=True)
        for s in settings.triton
        if embedding(s)
    ]
    return found


def _models(settings: Settings, api: Api) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for service in settings.vllm:
        backends = [{"name": backend(service), "weight": 100}]
        found[service.name] = {"kind": "vllm", "context": service.context, "backends": backends}
    for triton in settings.triton:
        if (model := embedding(triton)) is not None:
            url = f"http://triton-{triton.name}.{names.SERVING}.svc:{settings.ports['triton_http']}"
            detail = {"url": url, "model": model.name, "tensor": model.inputs[0].name}
            backends = [{"name": f"triton-{triton.name}", "weight": 100}]
            found[triton.name] = {"kind": "triton", "backends": backends, "detail": detail}
    return found | {model.name: _shared(settings, model) for model in api.models}


def _shared(settings: Settings, model: ApiModel) -> dict[str, Any]:
    services = {service.name: service for service in settings.vllm}
    # Services answer to their own name: that is what the request's model is called there, too, only where
    # the name is the same; vLLM is started with every name that the gateway gives it (`also_known_as`).
    shares = [
        {"name": backend(services[s.service]), "weight": s.weight, "canary": s.canary} for s in model.backends
    ]
    context = min(services[share.service].context for share in model.backends)
    entry: dict[str, Any] = {"kind": "vllm", "context": context, "backends": shares, "sticky": model.sticky}
    return entry | ({"guard": dict(model.guard)} if model.guard else {})


def also_known_as(settings: Settings, service: VllmService) -> list[str]:
    """Names besides its own under which a service is asked."""
    models = settings.api.models if settings.api else ()
    return sorted(
        {m.name for m in models for share in m.backends if share.service == service.name} - {service.name}
    )
