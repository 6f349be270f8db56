"""Rules of the way in: who may go where, how it is certified, and who keeps the records. The planner says
what is wrong."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from bedplate.check.problem import Problem
from bedplate.check.rules import View, fleet_rule, host_rule
from bedplate.gateway import behind, plan

Data = Mapping[str, Any]


@host_rule
def routes(
    nginx_gateway_routes: Sequence[Data] = (),
    nginx_gateway_groups: Sequence[Data] = (),
    nginx_gateway_upstreams: Sequence[Data] = (),
    nginx_gateway_names: Sequence[str] | None = None,
) -> Iterator[Problem]:
    """Routes, groups of clients, and upstreams."""
    for key, why, remedy in plan.faults(
        nginx_gateway_routes, nginx_gateway_groups, nginx_gateway_upstreams, nginx_gateway_names
    ):
        yield Problem(key, why, remedy)


@fleet_rule
def nodes(view: View) -> Iterator[Problem]:
    """Hosts that are an upstream's servers are there, and can be reached."""
    addresses = dict(view.each("vlan_network_addresses"))
    ports = {host: api.get("outside", 0) for host, api in view.each("platform_api")}
    for host, upstreams in view.each("nginx_gateway_upstreams"):
        found = behind.faults(upstreams, view.groups, addresses, ports.get(host, 0))
        yield from (Problem(key, why, remedy, host=host) for key, why, remedy in found)


@host_rule
def names(nginx_gateway_names: Sequence[str]) -> Iterator[Problem]:
    """Names by which clients call it."""
    for key, why, remedy in plan.name_faults(nginx_gateway_names):
        yield Problem(key, why, remedy)


@host_rule
def people(nginx_gateway_names: Sequence[str], platform_dify: Data) -> Iterator[Problem]:
    """Dify and the models each have a name: by Dify's, its own interface answers."""
    host = urlsplit(platform_dify["address"]).hostname
    if any(plan.name_faults(nginx_gateway_names)):
        return
    if host not in nginx_gateway_names:
        why = f"people call Dify {host}, and the gateway has no such name"
        yield Problem(("nginx_gateway_names",), why, f"add {host}, or change address of platform_dify")
    elif set(nginx_gateway_names) == {host}:
        why = f"{host} is Dify's name (address of platform_dify), and models have none"
        yield Problem(("nginx_gateway_names",), why, "add a name for models")


@host_rule
def shared(nginx_gateway_shared: Data, site_networks: Sequence[Data]) -> Iterator[Problem]:
    """The address that gateways share lies in a network of the site."""
    for word in ("address", "network"):
        if nginx_gateway_shared and not nginx_gateway_shared.get(word):
            why = f"a shared address needs its {word}"
            yield Problem(("nginx_gateway_shared",), why, f"add {word}", "")
    known = [network["name"] for network in site_networks]
    if nginx_gateway_shared.get("network") and nginx_gateway_shared["network"] not in known:
        why = "there is no such network"
        yield Problem(("nginx_gateway_shared", "network"), why, f"write one of {', '.join(known)}")


@host_rule
def lives(
    pki_days: int = 60, pki_renew_days: int = 20, pki_intermediate_days: int = 1095
) -> Iterator[Problem]:
    """A certificate is renewed within its life, and its issuer outlives it."""
    if not 0 < pki_renew_days < pki_days:
        why = f"a certificate of {pki_days} days would be renewed at every run, or never"
        yield Problem(
            ("pki_renew_days",), why, f"write a third of its life, {max(1, pki_days // 3)}", pki_renew_days
        )
    if pki_days * 2 > pki_intermediate_days:
        why = f"the intermediate lives {pki_intermediate_days} days, and must outlive what it signs by far"
        remedy = f"write at most {pki_intermediate_days // 2}, or let the intermediate live longer"
        yield Problem(("pki_days",), why, remedy, pki_days)


@fleet_rule
def collectors(view: View) -> Iterator[Problem]:
    """Who keeps records shows a certificate, which its group gives it."""
    members = view.members("audit_collectors")
    for host, listed in view.each("audit_log_collectors"):
        for index, name in enumerate(listed):
            if name not in members:
                why = f"{name} is not in group audit_collectors, so nothing makes a collector of it"
                remedy = "put it into that group in hosts.yml; this list then follows from it"
                yield Problem(("audit_log_collectors", index), why, remedy, host=host)
