"""The gate: says yes or no to each request, and to which back end. Envoy asks it with the whole request
(ext_authz) and sends on what it says yes to, with the headers that it gives."""

import json
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bedplate.api import asked, bridge, routing
from bedplate.api.accounts import Accounts
from bedplate.api.asked import MODELS, Asked
from bedplate.api.identity import PERSON, Identity, identify
from bedplate.api.policy import Policy, Served
from bedplate.api.refused import Refused
from bedplate.api.server import Answer, Request
from bedplate.api.usage import Refusal
from bedplate.api.valkey import Away, Failed

MARK = "x-bedplate-"  # headers of ours; the proxy removes them from what clients send
OWN = "policy"  # the back end that is this program
REMEMBERED = 10_000  # refusals whose reasons wait for their line in the proxy's log


@dataclass
class Counters:
    """What Prometheus reads."""

    decisions: dict[tuple[str, str, str], int] = field(default_factory=dict)
    seconds: float = 0.0
    unsettled: int = 0

    def count(self, model: str, consumer: str, code: str) -> None:
        """One more decision. People are not told apart: there may be thousands."""
        known = model, "" if consumer.startswith(PERSON) else consumer, code
        self.decisions[known] = self.decisions.get(known, 0) + 1


class Gate:
    """Decisions of one replica. ``policy`` and ``withdrawn`` are exchanged while it runs."""

    def __init__(self, policy: Policy, accounts: Accounts) -> None:
        self.policy, self.accounts = policy, accounts
        self.withdrawn: dict[str, str] = {}
        self.counters = Counters()
        self.refusals: OrderedDict[str, Refusal] = OrderedDict()

    async def decide(self, request: Request) -> Answer:
        """The answer to the proxy: 200 lets the request through."""
        begun, operation, who, model = time.perf_counter(), "", "", ""
        try:
            operation = asked.operation(request.method, request.target)
            identity = self._identify(request)
            who = identity.name
            ask, served = self._ask(operation, request, identity)
            model = ask.model
            answer = await self._allow(request, identity, ask, served)
            self.counters.count(model, who, "ok")
            return answer
        except Refused as refusal:
            known = Refusal(who, operation, model, refusal.code)
            return self._refuse(request, known, refusal)
        except (Away, Failed):
            away = Refused(503, "no_counters", "limits cannot be counted now", {"retry-after": "5"})
            return self._refuse(request, Refusal(who, operation, model, away.code), away)
        finally:
            self.counters.seconds += time.perf_counter() - begun

    def models(self, request: Request) -> Answer:
        """The models that may be used, as OpenAI's API lists them; the gate has let the request through."""
        names = request.one(f"{MARK}models").split(",")
        listed = [{"id": name, "object": "model", "owned_by": "bedplate"} for name in names if name]
        body = json.dumps({"object": "list", "data": listed}).encode()
        return Answer(200, {"content-type": "application/json"}, body)

    async def vectors(self, request: Request) -> Answer:
        """Vectors of a model that speaks another protocol; the gate has let the request through."""
        served = self.policy.models.get(request.one(f"{MARK}models"))
        if served is None:
            return Answer(404)
        return await bridge.embed(served, request.body)

    def _identify(self, request: Request) -> Identity:
        today = datetime.now(UTC).date()
        claims = request.one(f"{MARK}token")
        return identify(self.policy, request.all("authorization"), claims, today)

    def _ask(self, operation: str, request: Request, identity: Identity) -> tuple[Asked, Served | None]:
        if operation == MODELS:
            return Asked(operation, ""), None
        body = asked.read(operation, request.one("content-type"), request.body)
        served = self.policy.models.get(body["model"])
        # Whether a model exists is not told to who may not use it.
        if served is None or served.name not in identity.role.models:
            raise Refused(404, "model_not_found", "there is no such model for you")
        limits = identity.role.limits
        return asked.judge(operation, body, len(request.body), limits, served.context), served

    async def _allow(self, request: Request, identity: Identity, ask: Asked, served: Served | None) -> Answer:
        identifier = request.one("x-request-id")
        backend = routing.choose(served, identifier, identity.name, self.withdrawn) if served else None
        limits = identity.role.limits
        left = await self.accounts.reserve(identity.name, identity.key, identifier, ask.tokens, limits)
        told = {
            "who": identity.name,
            "key": identity.key,
            "group": identity.role.name,
            "operation": ask.operation,
            "model": ask.model,
            "backend": backend.name if backend else OWN,
        }
        if ask.insert:
            told["insert"] = ask.insert
        if served is not None and served.kind == "triton":
            told["models"] = served.name
        if served is None:
            told["models"] = ",".join(sorted(identity.role.models & set(self.policy.models)))
        return Answer(200, {f"{MARK}{name}": value for name, value in told.items() if value} | left.headers)

    def _refuse(self, request: Request, known: Refusal, refusal: Refused) -> Answer:
        self.counters.count(known.model, known.who, refusal.code)
        self.refusals[request.one("x-request-id")] = known
        if len(self.refusals) > REMEMBERED:
            self.refusals.popitem(last=False)
        headers = {"content-type": "application/json"} | refusal.headers
        return Answer(refusal.status, headers, refusal.body)
