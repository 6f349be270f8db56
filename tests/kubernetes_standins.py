"""Stand-ins for the programs of Kubernetes and etcd, for scenarios in containers, where no kubelet can run.

``python -m tests.kubernetes_standins FOLDER`` writes release archives as the projects publish them and their
digests. The stand-in of kubeadm keeps what it was called with in /var/lib/stand-in and leaves what the real
one leaves; what the real one makes of it is shown on virtual machines (tests/e2e/test_kubernetes.py).
"""

import json
import sys
import tempfile
from pathlib import Path

import yaml

from bedplate import paths
from tests.kubernetes_programs import archive

KUBEADM = r"""#!/bin/sh
set -e
mkdir -p /var/lib/stand-in
echo "$@" >>/var/lib/stand-in/calls
member() {
  mkdir -p /etc/kubernetes/manifests /etc/kubernetes/pki /var/lib/kubelet/pki /var/lib/etcd
  cat "$1" >/var/lib/stand-in/config
  folder=$(dirname "$1")
  cat "$folder/discovery.conf" >/var/lib/stand-in/discovery
  touch /etc/kubernetes/kubelet.conf
}
case "$1 $2" in
  "init --config") member "$3"; touch /etc/kubernetes/admin.conf /etc/kubernetes/pki/ca.key ;;
  "join --config") member "$3" ;;
  "token create") echo abcdef.0123456789abcdef ;;
  "init phase")
    [ "$3" = upload-certs ] || cat >/var/lib/stand-in/uploaded
    echo secret; printf '%064d\n' 123 ;;
  "config images") cat >/dev/null; [ "$3" = list ] && echo registry.example.internal/one:1 ;;
  "upgrade plan") ;;
  upgrade*)
    version=$(sed -n 's/^ *kubernetesVersion: v//p')
    echo "{\"version\": \"$version\", \"server\": \"$version\"}" >/var/lib/stand-in/cluster.json ;;
  "reset --force")
    cd /etc/kubernetes; rm -rf kubelet.conf admin.conf pki/ca.key /var/lib/kubelet/pki ;;
esac
"""
# A cluster of this host alone, kept in a file: versions, whether it takes pods, and who said so.
KUBECTL = r"""#!/usr/bin/python3
import json, pathlib, socket, sys
FOLDER = pathlib.Path("/var/lib/stand-in"); FOLDER.mkdir(exist_ok=True)
STATE, APPLIED = FOLDER / "cluster.json", FOLDER / "applied"
words = [w for w in sys.argv[1:] if not w.startswith(("--kubeconfig", "--request", "--namespace"))]
said, name = " ".join(words), socket.gethostname()
made = {"version": "VERSION", "server": "VERSION", "closed": False, "mark": ""}
state = made | (json.loads(STATE.read_text()) if STATE.exists() else {})
links = pathlib.Path("/usr/local/bin/kubelet")
kubelet = links.readlink().parent.name.rpartition("-")[0] if links.is_symlink() else "VERSION"
ready = [{"type": "Ready", "status": "True"}]
def keep(**values):
    STATE.write_text(json.dumps(state | values))
    with (FOLDER / "calls").open("a") as calls:
        calls.write(f"kubectl {said}\n")
if "config view" in said:
    print("https://10.0.0.1:6443")
elif words[0] == "apply":
    print("unchanged" if APPLIED.exists() else "created")
    "--dry-run=server" in words or APPLIED.touch()
elif said.startswith("get nodes"):
    marks = {"bedplate.io/upgrade": state["mark"]} if state["mark"] else {}
    node = {"metadata": {"name": name, "annotations": marks},
            "spec": {"unschedulable": state["closed"]},
            "status": {"conditions": ready, "nodeInfo": {"kubeletVersion": "v" + kubelet}}}
    print(f"node/{name}" if "--output=name" in words else json.dumps({"items": [node]}))
elif said.startswith("get pods"):
    pod = {"metadata": {"name": "kube-apiserver", "labels": {"component": "kube-apiserver"}},
           "spec": {"nodeName": name, "containers": [{"image": "kube-apiserver:v" + state["server"]}]},
           "status": {"conditions": ready}}
    print(json.dumps({"items": [pod]}))
elif said.startswith("get configmap"):
    print("kubernetesVersion: v" + state["version"])
elif said.startswith("get node "):
    print(state["mark"] if "annotations" in said else ("true" if state["closed"] else ""), end="")
elif words[0] == "annotate":
    key, _, value = words[-1].partition("=")
    keep(mark=value)
elif words[0] == "drain":
    if (FOLDER / "stuck").exists():
        sys.exit("error: Cannot evict pod as it would violate the pod's disruption budget.")
    keep(closed=True)
elif words[0] == "uncordon":
    keep(closed=False)
elif said.startswith("get poddisruptionbudgets"):
    print("models chat 0\nmodels code 1")
"""
# One member, which answers.
ETCDCTL = r"""#!/bin/sh
case "$*" in
  *"member list"*)
    printf '{"members":[{"ID":1,"name":"%s","clientURLs":["https://127.0.0.1:2379"]}]}' "$(hostname)" ;;
  *"endpoint health"*) echo '[{"endpoint":"https://127.0.0.1:2379","health":true}]' ;;
  *"snapshot save"*) for last; do :; done; echo snapshot >"$last" ;;
esac
"""
# It answers as the API server does before a request is judged.
API_SERVER = """
import http.server, ssl, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        well = self.path in ("/livez", "/readyz")
        self.send_response(200 if well else 401); self.end_headers(); self.wfile.write(b"ok")
    def log_message(self, *words): pass
server = http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Answer)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain(sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
"""
SLEEP = "#!/bin/sh\nexec sleep infinity\n"
NODE = {"kubelet": SLEEP, "kubeadm": KUBEADM, "kubectl": KUBECTL}
ETCD = {"etcdctl": ETCDCTL, "etcdutl": "#!/bin/sh\necho '{}'\n"}
NEXT = "1.38.0"  # a release that an upgrade comes to


def make(folder: Path) -> None:
    """The archives and FOLDER/digests.json."""
    versions = yaml.safe_load((paths.COMMON / "versions.yml").read_text())
    kubernetes, etcd = versions["version_kubernetes"], versions["version_etcd"]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        for program, text in (NODE | ETCD).items():
            (Path(name) / program).write_text(text.replace("VERSION", kubernetes))
        node = {f"kubernetes/node/bin/{program}": Path(name) / program for program in NODE}
        clients = {f"etcd-v{etcd}-linux-amd64/{program}": Path(name) / program for program in ETCD}
        digests = {
            "kubernetes": archive(folder / f"v{kubernetes}" / "kubernetes-node-linux-amd64.tar.gz", node),
            "next": archive(folder / f"v{NEXT}" / "kubernetes-node-linux-amd64.tar.gz", node),
            "etcd": archive(folder / f"v{etcd}" / f"etcd-v{etcd}-linux-amd64.tar.gz", clients),
        }
    (folder / "api_server.py").write_text(API_SERVER)
    (folder / "digests.json").write_text(json.dumps(digests))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
