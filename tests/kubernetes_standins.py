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
from tests.kubernetes_medium import archive

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
  "init phase") echo secret; echo 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef ;;
  "reset --force")
    cd /etc/kubernetes; rm -rf kubelet.conf admin.conf pki/ca.key /var/lib/kubelet/pki ;;
esac
"""
KUBECTL = r"""#!/bin/sh
mkdir -p /var/lib/stand-in
case "$*" in
  *config*) echo https://10.0.0.1:6443 ;;
  *apply*) if [ -e /var/lib/stand-in/applied ]; then echo unchanged; else echo created; fi
    case "$*" in *dry-run*) ;; *) touch /var/lib/stand-in/applied ;; esac ;;
esac
"""
# One member, which answers.
ETCDCTL = r"""#!/bin/sh
case "$*" in
  *"member list"*) echo '{"members":[{"ID":1,"name":"stand-in","clientURLs":["https://127.0.0.1:2379"]}]}' ;;
  *"endpoint health"*) echo '[{"endpoint":"https://127.0.0.1:2379","health":true}]' ;;
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
ETCD = {"etcdctl": ETCDCTL, "etcdutl": SLEEP}


def make(folder: Path) -> None:
    """The archives and FOLDER/digests.json."""
    versions = yaml.safe_load((paths.COMMON / "versions.yml").read_text())
    kubernetes, etcd = versions["version_kubernetes"], versions["version_etcd"]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        for program, text in (NODE | ETCD).items():
            (Path(name) / program).write_text(text)
        node = {f"kubernetes/node/bin/{program}": Path(name) / program for program in NODE}
        clients = {f"etcd-v{etcd}-linux-amd64/{program}": Path(name) / program for program in ETCD}
        digests = {
            "kubernetes": archive(folder / f"v{kubernetes}" / "kubernetes-node-linux-amd64.tar.gz", node),
            "etcd": archive(folder / f"v{etcd}" / f"etcd-v{etcd}-linux-amd64.tar.gz", clients),
        }
    (folder / "api_server.py").write_text(API_SERVER)
    (folder / "digests.json").write_text(json.dumps(digests))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
