"""Sites of people behind the proxy: programs with pages and a log-in of their own, under a name of their own.
The gate is not asked about them; the gateways of the hosts have seen a certificate."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Config = dict[str, Any]
OWN_FILTERS = ("jwt_authn", "ext_authz", "lua")  # what is asked and done about models only
# Proxies of others that programs believe; nobody in front of ours is one of them.
STRANGERS = ("cf-connecting-ip", "x-forwarded-host", "x-forwarded-port", "forwarded")


@dataclass(frozen=True)
class Program:
    """What answers, where. ``idle_seconds``: shorter than it keeps a connection that nobody uses."""

    name: str
    host: str
    port: int
    idle_seconds: int = 1


@dataclass(frozen=True)
class Place:
    """``path`` and everything below it, answered by ``program``; ``address`` names a header that tells it the
    address that was asked for."""

    path: str
    program: str
    websocket: bool = False
    address: str = ""


@dataclass(frozen=True)
class Site:
    """Its name as browsers send it; of its places the first that fits answers."""

    host: str
    programs: tuple[Program, ...]
    places: tuple[Place, ...]


def virtual_host(site: Site, silent_seconds: int) -> Config:
    """For the proxy's listener; nothing of it is asked about keys. ``silent_seconds``: between two parts."""
    off = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": True}
    return {
        "name": site.host,
        "domains": [site.host],
        "typed_per_filter_config": {f"envoy.filters.http.{name}": off for name in OWN_FILTERS},
        "request_headers_to_remove": list(STRANGERS),
        "routes": [_route(place, site, silent_seconds) for place in site.places],
    }


def _route(place: Place, site: Site, silent_seconds: int) -> Config:
    action: Config = {
        "cluster": place.program,
        "timeout": "0s",
        "idle_timeout": f"{silent_seconds}s",
        # Nothing has been sent yet when a connection fails; anything else is not asked twice.
        "retry_policy": {"retry_on": "connect-failure", "num_retries": 2},
    }
    if place.websocket:
        action["upgrade_configs"] = [{"upgrade_type": "websocket"}]
    match = {"prefix": "/"} if place.path == "/" else {"path_separated_prefix": place.path}
    route: Config = {"match": match, "route": action}
    if place.address:
        value = {"key": place.address, "value": f"https://{site.host}%REQ(:PATH)%"}
        route["request_headers_to_add"] = [{"header": value, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}]
    return route


def elsewhere(sites: Iterable[Site]) -> Config:
    """A filter of the log of models: requests by another name than these."""
    unlike = [
        {
            "name": ":authority",
            "invert_match": True,
            "string_match": {"exact": site.host, "ignore_case": True},
        }
        for site in sites
    ]
    filters = [{"header_filter": {"header": header}} for header in unlike]
    return filters[0] if len(filters) == 1 else {"and_filter": {"filters": filters}}
