"""Planners of the cluster's modules: images from archives, membership, labels and taints of nodes."""

import json
import tarfile

import kubernetes_nodes
import pytest
from container_images import Archive, BadArchive, Import, Pin, Present, listed, read
from container_images import plan as plan_images
from kubernetes_member import REMNANTS, SECRETS, Host, meaning
from kubernetes_member import plan as plan_member

from tests import oci_archive

PAUSE = "registry.k8s.io/pause:3.10.2"
ONE = Archive("one.tar", {PAUSE: "sha256:a"})
LISTED = """\
REF                          TYPE                 DIGEST   SIZE      PLATFORMS   LABELS
registry.k8s.io/pause:3.10.2 application/vnd.oci  sha256:a 746.9 KiB linux/amd64 a=b,{}
registry.k8s.io/etcd:3.6     application/vnd.oci  sha256:b 21.1 MiB  linux/amd64 -
""".format("io.cri-containerd.pinned=pinned")


def test_what_ctr_said_is_read():
    assert listed(LISTED) == {
        PAUSE: Present("sha256:a", pinned=True),
        "registry.k8s.io/etcd:3.6": Present("sha256:b", pinned=False),
    }


@pytest.mark.parametrize(
    ("present", "actions"),
    [
        pytest.param({}, [Import("one.tar", (PAUSE,)), Pin(PAUSE)], id="missing"),
        pytest.param(
            {PAUSE: Present("sha256:b", True)}, [Import("one.tar", (PAUSE,)), Pin(PAUSE)], id="another"
        ),
        pytest.param({PAUSE: Present("sha256:a", False)}, [Pin(PAUSE)], id="cut before it was pinned"),
        pytest.param({PAUSE: Present("sha256:a", True)}, [], id="there"),
    ],
)
def test_what_is_imported(present, actions):
    assert plan_images([ONE], present) == (actions, [])


def test_archives_that_contradict_each_other_are_refused():
    actions, (said,) = plan_images([ONE, Archive("two.tar", {PAUSE: "sha256:b"})], {})
    assert actions == [] and "one.tar and two.tar" in said and PAUSE in said


def test_an_archive_that_the_tests_write_is_read_whole(tmp_path):
    program = tmp_path / "pause"
    program.write_bytes(b"program")
    oci_archive.write(tmp_path / "pause.tar", PAUSE, {"/pause": program}, ["/pause"])
    archive = read(tmp_path / "pause.tar")
    (digest,) = archive.images.values()
    assert list(archive.images) == [PAUSE]
    with tarfile.open(tmp_path / "pause.tar") as tar:
        assert f"blobs/sha256/{digest.removeprefix('sha256:')}" in tar.getnames()


@pytest.mark.parametrize("name", ["no-tar", "no-index", "no-name"])
def test_what_is_no_archive_is_refused_by_name(tmp_path, name):
    file = tmp_path / f"{name}.tar"
    if name == "no-tar":
        file.write_text("nothing")
    else:
        entry = {"digest": "sha256:a", "annotations": {"org.opencontainers.image.ref.name": "latest"}}
        (tmp_path / "index.json").write_text(json.dumps({"manifests": [entry]}))
        with tarfile.open(file, "w") as tar:
            tar.add(tmp_path / "index.json", "index.json" if name == "no-name" else "other")
    with pytest.raises(BadArchive, match=f"{name}.tar"):
        read(file)


@pytest.mark.parametrize(
    ("host", "steps"),
    [
        pytest.param(Host(), ["begin", "run", "finish"], id="fresh"),
        pytest.param(Host(begun=True), ["reset", "run", "finish"], id="cut before kubeadm did anything"),
        pytest.param(Host(begun=True, remnants=REMNANTS), ["reset", "run", "finish"], id="cut while it ran"),
        pytest.param(Host(begun=True, done=True, remnants=REMNANTS[:2]), [], id="member"),
    ],
)
def test_how_a_host_becomes_a_member(host, steps):
    assert plan_member(host) == (steps, [])


@pytest.mark.parametrize(
    ("host", "says"),
    [
        pytest.param(Host(remnants=["/var/lib/etcd/member"]), "/var/lib/etcd/member", id="another cluster's"),
        pytest.param(Host(begun=True, done=True), "was a member", id="lost"),
    ],
)
def test_no_cluster_is_ever_made_over_another(host, says):
    steps, (said,) = plan_member(host)
    assert steps == [] and says in said


GPU = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
CORDONED = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
WISH = {"labels": {"zone": "r1"}, "taints": [GPU]}


def node(labels, taints, ours=None):
    annotations = {kubernetes_nodes.OURS: json.dumps(ours)} if ours else {}
    metadata = {"name": "gpu1", "labels": labels, "annotations": annotations}
    return {"metadata": metadata, "spec": {"taints": taints} if taints else {}}


OURS = {"labels": ["zone"], "taints": ["nvidia.com/gpu:NoSchedule"]}


@pytest.mark.parametrize(
    ("found", "wish", "labels", "taints"),
    [
        pytest.param(node({"theirs": "1"}, [CORDONED]), WISH, {"zone": "r1"}, [CORDONED, GPU], id="new"),
        pytest.param(node({"zone": "r2"}, [GPU], OURS), WISH, {"zone": "r1"}, None, id="moved"),
        pytest.param(
            node({"zone": "r1", "theirs": "1"}, [GPU, CORDONED], OURS),
            {"labels": {}, "taints": []},
            {"zone": None},
            [CORDONED],
            id="no longer wished",
        ),
    ],
)
def test_what_is_patched(found, wish, labels, taints):
    (patch,), refusals = kubernetes_nodes.plan({"gpu1": wish}, [found])
    assert refusals == []
    assert patch.body["metadata"]["labels"] == labels
    assert patch.body.get("spec", {}).get("taints") == taints


def test_a_node_as_wished_is_left_alone_with_what_others_put_there():
    found = node({"zone": "r1", "theirs": "1"}, [CORDONED, GPU], OURS)
    assert kubernetes_nodes.plan({"gpu1": WISH}, [found]) == ([], [])


def test_a_node_that_is_not_in_the_cluster_is_refused_and_nothing_is_patched():
    patches, (said,) = kubernetes_nodes.plan({"gpu1": WISH, "gpu2": WISH}, [node({}, [])])
    assert patches == [] and "gpu2" in said


@pytest.mark.parametrize(
    ("same", "says"),
    [(True, "deleted it there"), (False, "a node of another cluster")],
    ids=["deleted", "other"],
)
def test_a_node_that_its_cluster_does_not_know_is_refused(same, says):
    steps, (said,) = plan_member(Host(begun=True, done=True, remnants=REMNANTS, known=False, same=same))
    assert steps == [] and says in said and "playbooks/remove_node.yml" in said
    assert plan_member(Host(begun=True, done=True, remnants=REMNANTS, known=True, same=same)) == ([], [])


@pytest.mark.parametrize(
    ("said", "means"),
    [
        (
            "error: couldn't validate the identity of the API Server: Unauthorized",
            "credentials: they were over",
        ),
        (
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
            "another cluster",
        ),
        ("dial tcp 10.0.0.1:6443: connect: connection refused", "the API was not reached"),
        ('error downloading the secret: Secret "kubeadm-certs" was not found', "for two hours"),
        ("[ERROR Port-10250]: Port 10250 is in use", ""),
    ],
)
def test_what_kubeadm_says_is_put_in_words(said, means):
    assert (means in meaning(said)) if means else meaning(said) == ""


def test_secrets_of_the_configuration_are_known_as_such():
    text = "tlsBootstrapToken: abc.def\n  certificateKey: 0123\nusers:\n - {user: {token: abc.def}}\n"
    assert SECRETS.findall(text) == ["abc.def", "0123", "abc.def"]
