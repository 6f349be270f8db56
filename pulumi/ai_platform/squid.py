"""Configuration of the proxy through which alone code and plugins of users reach anything: named hosts of the
internet, never an address of the site, whatever a name resolves to."""

from collections.abc import Iterable

# What is not the internet: IANA special-purpose registries. A name is resolved before it is compared, and the
# ways to write an IPv4 address as an IPv6 one (mapped, NAT64, 6to4, Teredo) are closed with the rest.
PRIVATE = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "2001::/32",
    "2002::/16",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
)
TLS = 443
WEB = (80, TLS)
# The shortest time that an answer of DNS is believed: what was judged is what is connected to, even where the
# name's owner gives another address a moment later.
REMEMBERED_SECONDS = 60


def config(port: int, hosts: Iterable[str], own: Iterable[str]) -> str:
    """squid.conf. ``hosts`` are names that may be reached, with a leading dot for all below one; ``own`` are
    networks of the site, refused as private ones are even where their addresses are public."""
    refused = dict.fromkeys((*PRIVATE, *own))
    named = list(dict.fromkeys(hosts))
    return "\n".join(
        [
            f"http_port {port}",
            "visible_hostname ssrf-proxy",
            "httpd_suppress_version_string on",
            "via off",
            "forwarded_for delete",
            "# Nothing is kept: no cache, no state, no file; logs go to the container's output.",
            "cache deny all",
            "pid_filename none",
            "netdb_filename none",
            "coredump_dir /tmp",
            "pinger_enable off",
            "access_log stdio:/dev/stdout",
            "cache_log /dev/stderr",
            "shutdown_lifetime 5 seconds",
            f"negative_dns_ttl {REMEMBERED_SECONDS} seconds",
            "",
            f"acl web port {' '.join(map(str, WEB))}",
            f"acl tls port {TLS}",
            *(f"acl private dst {network}" for network in refused),
            # -n: an address is not looked up, so nobody names his own address after an allowed host.
            *(f"acl allowed dstdomain -n {host}" for host in named),
            "",
            "http_access deny manager",
            "http_access deny !web",
            "http_access deny CONNECT !tls",
            "http_access deny private",
            *(["http_access allow allowed"] if named else []),
            "http_access deny all",
            "",
        ]
    )
