"""Who asks: a consumer by its key, or a person by a token that the proxy has verified."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from bedplate.api.policy import Key, Policy, Role
from bedplate.api.refused import Refused

LONGEST_NAME = 128
PERSON = "user:"  # before the names of people


@dataclass(frozen=True)
class Identity:
    """``name`` is whose account it is; ``key`` the key's id, empty for a person."""

    name: str
    role: Role
    key: str = ""


def identify(policy: Policy, authorization: Sequence[str], claims: str, today: date) -> Identity:
    """Who it is. ``claims`` is the payload of a verified token as the proxy hands it on (base64url), empty
    where there was none. Raises Refused."""
    if len(authorization) != 1:
        raise _unknown("send one Authorization header")
    scheme, _, word = authorization[0].partition(" ")
    if scheme.lower() != "bearer" or not word:
        raise _unknown("send Authorization: Bearer and a key or token")
    key = policy.keys.get(digest(word))
    if key is not None:
        return _consumer(policy, key, today)
    if not claims:
        raise _unknown("this is no key of ours, nor a token that its issuer vouches for")
    return _person(policy, _payload(claims))


def digest(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def _consumer(policy: Policy, key: Key, today: date) -> Identity:
    if key.expires and date.fromisoformat(key.expires) < today:
        raise _unknown("the key has expired")
    return Identity(key.consumer, policy.consumers[key.consumer], key.id)


def _person(policy: Policy, payload: dict[str, Any]) -> Identity:
    name = payload.get(policy.person.user_claim)
    if policy.person.user_claim == "email" and payload.get("email_verified") is False:
        raise _unknown("the issuer has not verified the address")
    # A person never has a consumer's account: names of people are marked.
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise _unknown("the token does not say who it is")
    groups = payload.get(policy.person.groups_claim, [])
    groups = set(groups) if isinstance(groups, list) and all(isinstance(g, str) for g in groups) else set()
    for group, role in policy.groups.items():
        if group in groups:
            return Identity(f"{PERSON}{name}", policy.roles[role])
    raise Refused(403, "no_role", "none of your groups may use models")


def _payload(claims: str) -> dict[str, Any]:
    try:
        found = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _unknown("the token cannot be read")
    return found


def _unknown(message: str) -> Refused:
    return Refused(401, "not_authenticated", message, {"www-authenticate": "Bearer"})
