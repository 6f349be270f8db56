"""nginx's configuration as role nginx_gateway renders it, without Ansible: for the bench and the tests."""

from collections.abc import Mapping
from typing import Any

import jinja2
import yaml

from bedplate import paths
from bedplate.gateway.plan import model

ROLE = paths.ROLES / "nginx_gateway"
PARTS = ("routes", "groups", "upstreams", "names")
LIMITS = ("rate", "burst", "connections", "body", "read_seconds")


def configuration(values: Mapping[str, Any]) -> str:
    """The text of nginx.conf. ``values`` has the role's variables, and its private ones, that differ from
    its defaults. Raises ValueError with every fault of the data."""
    words = _words(values)
    limits = {name: words[f"nginx_gateway_{name}"] for name in LIMITS}
    routes, groups, upstreams, names = (words[f"nginx_gateway_{name}"] for name in PARTS)
    return rendered("nginx.conf.j2", {**values, "gateway": model(routes, groups, upstreams, limits, names)})


def rendered(template: str, values: Mapping[str, Any]) -> str:
    """A template of the role; ``values`` as for ``configuration``."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROLE / "templates"),
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701  nginx's configuration is not HTML
    )
    environment.filters["comment"] = lambda text, style="plain", decoration="# ": f"{decoration}{text}"
    return environment.get_template(template).render(_words(values))


def _words(values: Mapping[str, Any]) -> dict[str, Any]:
    """Every variable of the role that is a value, with ``values`` over them."""
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    private = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())
    return {**_plain(defaults), **_plain(private), "ansible_managed": "Ansible managed", **values}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values that are not templates themselves; the others must be given."""
    return {name: value for name, value in values.items() if "{{" not in str(value)}
