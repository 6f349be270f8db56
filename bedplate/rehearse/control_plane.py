"""A Kubernetes control plane as ordinary processes on 127.0.0.1: etcd, API server, controller manager,
scheduler, and KWOK, which plays the kubelets. Real in everything but that no pod's program runs.

What protects production protects it too: TLS with client certificates everywhere, RBAC, the same admission
plugins, audit policy and encryption of secrets at rest.
"""

import http.client
import json
import shutil
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedplate.ports import free_ports
from bedplate.rehearse import kubeconfig, pki, templates
from bedplate.rehearse.client import Api
from bedplate.rehearse.processes import Command, Group, stop_recorded

ADDRESS = "127.0.0.1"
SERVICE_RANGE = "10.96.0.0/16"
SERVICE_ADDRESS = "10.96.0.1"
POD_RANGE = "10.244.0.0/16"
# Far above kubelet's 40 s: here a late heartbeat tells of a busy laptop, not of a dead host, and a thousand
# nodes that renew every ten seconds cost more than everything else.
NODE_LEASE_SECONDS = 600
NODE_GRACE_SECONDS = 2 * NODE_LEASE_SECONDS
PARTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")

# What KWOK may do: play kubelets, nothing else.
KWOK_RULES = [
    {"apiGroups": [""], "resources": ["nodes", "pods"], "verbs": ["get", "list", "watch", "patch", "update"]},
    {"apiGroups": [""], "resources": ["nodes/status", "pods/status"], "verbs": ["patch", "update"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
    {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "verbs": ["get", "list", "watch", "create", "patch", "update", "delete"],
    },
]


@dataclass(frozen=True)
class Tuning:
    """Request rates of controller manager and scheduler, per second; 0 leaves the programs' own defaults (20
    and 50), which hold 2,000 new pods up for 100 s."""

    client_qps: int = 1000


class ControlPlane:
    """One control plane in ``folder``, started by ``start``, ended by ``stop`` or as a context manager."""

    def __init__(
        self, folder: Path, programs: Mapping[str, Path], *, keep: bool = False, tuning: Tuning | None = None
    ) -> None:
        stop_recorded(folder)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
        self.folder, self._programs, self._tuning = folder, programs, tuning or Tuning()
        self.processes = Group(folder, keep=keep)
        self._etcd, self._etcd_peer, self.port, self._manager, self._scheduler = free_ports(5)
        self._make_identities()
        self.api = Api(self.port, self._authority.certificate, self._admin)
        self.kubeconfig = self.user("admin", ["system:masters"], self._admin)

    def __enter__(self) -> "ControlPlane":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(
        self, stages: Iterable[Mapping[str, Any]], on_part: Callable[[str], None] = lambda _: None
    ) -> None:
        """Start everything; ready when the API server answers and the controllers are at work."""
        for command in (self._etcd_command(), self._api_command()):
            on_part(command.name)
            self.processes.start(command)
        self._allow_kwok()
        rest = [self._manager_command(), self._scheduler_command(), self._kwok_command(stages)]
        for command in rest:
            self.processes.launch(command)
        for command in rest:
            on_part(command.name)
            self.processes.wait(command.name)

    def stop(self) -> None:
        """End everything."""
        self.processes.stop()

    def user(self, name: str, groups: Iterable[str] = (), identity: pki.Pair | None = None) -> Path:
        """A kubeconfig for a user with a certificate of its own."""
        pair = identity or self._authority.client(name, groups)
        path = self.folder / f"{name.replace(':', '-')}.kubeconfig"
        return kubeconfig.write(path, f"https://{ADDRESS}:{self.port}", self._authority.certificate, pair)

    def api_as(self, name: str, groups: Iterable[str] = ()) -> Api:
        """The API as another user."""
        return Api(self.port, self._authority.certificate, self._authority.client(name, groups))

    def _make_identities(self) -> None:
        folder = self.folder / "pki"
        self._authority = pki.Authority(folder / "kubernetes", "kubernetes-ca")
        self._etcd_authority = pki.Authority(folder / "etcd", "etcd-ca")
        self._front_proxy = pki.Authority(folder / "front-proxy", "front-proxy-ca")
        local = [ADDRESS, "localhost"]
        names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", SERVICE_ADDRESS]
        self._api_server = self._authority.server("kube-apiserver", [*local, *names])
        self._manager_server = self._authority.server("kube-controller-manager", local)
        self._scheduler_server = self._authority.server("kube-scheduler", local)
        self._etcd_server = self._etcd_authority.server("etcd", local, also_client=True)
        self._etcd_client = self._etcd_authority.client("kube-apiserver")
        self._accounts = pki.signing_pair(folder, "service-accounts")
        self._admin = self._authority.client("admin", ["system:masters"])

    def _etcd_command(self) -> Command:
        client, peer = (f"https://{ADDRESS}:{port}" for port in (self._etcd, self._etcd_peer))
        flags = {
            "name": "rehearsal",
            "data-dir": self.folder / "etcd",
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"rehearsal={peer}",
            "client-cert-auth": "true",
            "trusted-ca-file": self._etcd_authority.certificate,
            "cert-file": self._etcd_server.certificate,
            "key-file": self._etcd_server.key,
            "peer-client-cert-auth": "true",
            "peer-trusted-ca-file": self._etcd_authority.certificate,
            "peer-cert-file": self._etcd_server.certificate,
            "peer-key-file": self._etcd_server.key,
            # Without fsync a killed etcd loses nothing; only a machine that loses power does.
            "unsafe-no-fsync": "true",
            "log-level": "warn",
        }
        check = _https(self._etcd, "/readyz", self._etcd_authority.certificate, self._etcd_client)
        return self._command("etcd", flags, check)

    def _api_command(self) -> Command:
        config = self.folder / "config"
        config.mkdir(exist_ok=True)
        keys = [{"name": "key1", "secret": templates.encryption_key()}]
        flags = templates.api_server_flags() | {
            "etcd-servers": f"https://{ADDRESS}:{self._etcd}",
            "etcd-cafile": self._etcd_authority.certificate,
            "etcd-certfile": self._etcd_client.certificate,
            "etcd-keyfile": self._etcd_client.key,
            "bind-address": ADDRESS,
            "advertise-address": ADDRESS,
            "endpoint-reconciler-type": "none",  # a loopback address may not stand in an endpoint
            "secure-port": self.port,
            "tls-cert-file": self._api_server.certificate,
            "tls-private-key-file": self._api_server.key,
            "client-ca-file": self._authority.certificate,
            "requestheader-client-ca-file": self._front_proxy.certificate,
            "requestheader-allowed-names": "front-proxy-client",
            "requestheader-username-headers": "X-Remote-User",
            "requestheader-group-headers": "X-Remote-Group",
            "requestheader-extra-headers-prefix": "X-Remote-Extra-",
            "service-cluster-ip-range": SERVICE_RANGE,
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": self._accounts.certificate,
            "service-account-signing-key-file": self._accounts.key,
            "admission-control-config-file": templates.render("admission", config),
            "authentication-config": templates.render("authentication", config),
            "encryption-provider-config": templates.render(
                "encryption", config, kubernetes_encryption_keys=keys
            ),
            "audit-policy-file": templates.render("audit-policy", config),
            "audit-log-path": self.audit_log,
        }
        return self._command("kube-apiserver", flags, self.api.ready)

    @property
    def audit_log(self) -> Path:
        """Where the API server writes who did what, a JSON object per line."""
        return self.folder / "logs" / "audit.log"

    def _manager_command(self) -> Command:
        config = self._component("system:kube-controller-manager")
        flags = {
            "kubeconfig": config,
            "authentication-kubeconfig": config,
            "authorization-kubeconfig": config,
            "bind-address": ADDRESS,
            "secure-port": self._manager,
            "tls-cert-file": self._manager_server.certificate,
            "tls-private-key-file": self._manager_server.key,
            "client-ca-file": self._authority.certificate,
            "root-ca-file": self._authority.certificate,
            "service-account-private-key-file": self._accounts.key,
            "use-service-account-credentials": "true",
            "node-monitor-grace-period": f"{NODE_GRACE_SECONDS}s",
            "leader-elect": "false",
            "profiling": "false",
        }
        if self._tuning.client_qps:
            flags |= {
                "kube-api-qps": self._tuning.client_qps,
                "kube-api-burst": 2 * self._tuning.client_qps,
            }
        check = _https(self._manager, "/healthz", self._authority.certificate)
        return self._command("kube-controller-manager", flags, check)

    def _scheduler_command(self) -> Command:
        user = self._component("system:kube-scheduler")
        config = templates.render(
            "scheduler",
            self.folder / "config",
            kubernetes_scheduler_kubeconfig=user,
            kubernetes_client_qps=self._tuning.client_qps,
            kubernetes_leader_election=False,
        )
        flags = {
            "config": config,
            "authentication-kubeconfig": user,
            "authorization-kubeconfig": user,
            "bind-address": ADDRESS,
            "secure-port": self._scheduler,
            "tls-cert-file": self._scheduler_server.certificate,
            "tls-private-key-file": self._scheduler_server.key,
            "client-ca-file": self._authority.certificate,
        }
        check = _https(self._scheduler, "/healthz", self._authority.certificate)
        return self._command("kube-scheduler", flags, check)

    def _kwok_command(self, stages: Iterable[Mapping[str, Any]]) -> Command:
        config = self.folder / "config" / "kwok.yml"
        config.write_text("\n---\n".join(json.dumps(stage) for stage in stages))
        flags = {
            # A kubelet's group: what kubelets write all day is not audited, see the audit policy.
            "kubeconfig": self.user("kwok", ["system:nodes"]),
            "config": config,
            "manage-all-nodes": "true",
            "node-lease-duration-seconds": NODE_LEASE_SECONDS,
            "cidr": POD_RANGE,
            "v": "WARN",
        }
        return self._command("kwok", flags, lambda: True)

    def _component(self, user: str) -> Path:
        return self.user(user)

    def _command(self, name: str, flags: Mapping[str, Any], ready: Callable[[], bool]) -> Command:
        arguments = [f"--{flag}={value}" for flag, value in flags.items()]
        return Command(name, (str(self._programs[name]), *arguments), ready)

    def _allow_kwok(self) -> None:
        rbac = "/apis/rbac.authorization.k8s.io/v1"
        role = {"metadata": {"name": "kwok"}, "rules": KWOK_RULES}
        binding = {
            "metadata": {"name": "kwok"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "kwok"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "kwok"}],
        }
        self.api.create(f"{rbac}/clusterroles", role)
        self.api.create(f"{rbac}/clusterrolebindings", binding)


def _https(port: int, path: str, authority: Path, identity: pki.Pair | None = None) -> Callable[[], bool]:
    """A check that asks ``path`` over TLS and wants 200."""
    tls = ssl.create_default_context(cafile=str(authority))
    if identity:
        tls.load_cert_chain(identity.certificate, identity.key)

    def check() -> bool:
        connection = http.client.HTTPSConnection(ADDRESS, port, timeout=5, context=tls)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return check
