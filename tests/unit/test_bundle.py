"""The bundle's pure parts: manifest, keys, what is wanted, nginx's configuration."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from bedplate import paths
from bedplate.bundle import (
    apt,
    copies,
    distributions,
    platform_images,
    releases,
    roles,
    server,
    signing,
    vendors,
)
from bedplate.bundle import images as bundle_images
from bedplate.bundle.build import owner
from bedplate.bundle.manifest import File, Image, Manifest, compare, document, inside, parse, same_content
from bedplate.errors import BedplateError
from bedplate.inventory import Inventory

HEX = "0" * 64
DIGEST = f"sha256:{HEX}"
KIND = "application/vnd.oci.image.manifest.v1+json"
FILE = File("debian/pool/main/c/chrony_1.0_amd64.deb", 7, HEX)
IMAGE = Image("registry.k8s.io/pause:3.10.2", DIGEST, "made here", "pause.c", ((DIGEST, KIND),))
MANIFEST = Manifest("lab", "2026-01-01T00:00:00+00:00", (FILE,), (IMAGE,), {"version_etcd": "3.6.14"})


def test_a_manifest_reads_as_it_was_written() -> None:
    assert parse(document(MANIFEST)) == MANIFEST


def test_two_bundles_with_the_same_content_differ_in_time_alone() -> None:
    later = replace(MANIFEST, time="2026-01-02T00:00:00+00:00")
    assert same_content(MANIFEST, later) and document(MANIFEST) != document(later)
    assert not same_content(MANIFEST, replace(later, files=(replace(FILE, size=8),)))
    assert not same_content(MANIFEST, replace(later, images=()))


@pytest.mark.parametrize(
    "path", ["", ".", "..", "/a", "../a", "a/../b", "a/..", "./a", "a//b", "a/", "a\\b", "a\nb", "a\0b"]
)
def test_paths_that_lead_elsewhere_are_no_paths_of_a_bundle(path: str) -> None:
    assert not inside(path)


@pytest.mark.parametrize(
    "path", ["a", "a/b", "..a/b..", "debian/pool/x_1%3a1~rc1+b1_amd64.deb", "models/Ä/x"]
)
def test_ordinary_paths_are(path: str) -> None:
    assert inside(path)


@pytest.mark.parametrize(
    "wrong",
    [
        replace(MANIFEST, files=(FILE, FILE)),
        replace(MANIFEST, files=(replace(FILE, sha256="0"),)),
        replace(MANIFEST, files=(replace(FILE, size=-1),)),
        replace(MANIFEST, images=(replace(IMAGE, reference='x";return 200;"/a:b'),)),
        replace(MANIFEST, images=(replace(IMAGE, manifests=((DIGEST, "text/html; evil"),)),)),
        replace(MANIFEST, images=(replace(IMAGE, manifests=()),)),
        replace(MANIFEST, images=(replace(IMAGE, origin="who knows"),)),
    ],
)
def test_a_manifest_that_could_mislead_a_program_is_refused(wrong: Manifest) -> None:
    with pytest.raises(BedplateError, match="names what no bundle holds"):
        parse(document(wrong))


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"format": 1}', b"\xff"])
def test_what_is_no_manifest_is_said_so(text: bytes) -> None:
    with pytest.raises(BedplateError, match="is no manifest"):
        parse(text)


def test_differences_are_sorted_by_what_they_are() -> None:
    other = File("b", 1, HEX)
    manifest = replace(MANIFEST, files=(FILE, other))
    found = compare(manifest, {FILE.path: (7, "1" * 64), "extra": (3, None)})
    assert (found.changed, found.missing, found.unexpected) == ((FILE.path,), ("b",), ("extra",))
    assert not compare(manifest, {FILE.path: (7, HEX), "b": (1, None)})
    assert compare(manifest, {FILE.path: (8, None), "b": (1, None)}).changed == (FILE.path,)


# --- keys ---


def test_the_signing_key_is_made_once_and_nobody_else_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "state" / "signing.key"
    first, second = signing.private_key(path), signing.private_key(path)
    assert signing.public_pem(first) == signing.public_pem(second)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(BedplateError, match="others can read"):
        signing.private_key(path)


def test_a_passphrase_encrypts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(signing.PASSPHRASE, "correct horse")
    signing.private_key(tmp_path / "key")
    assert b"ENCRYPTED" in (tmp_path / "key").read_bytes()
    for phrase in ("", "wrong"):
        monkeypatch.setenv(signing.PASSPHRASE, phrase)
        with pytest.raises(BedplateError, match="cannot be opened"):
            signing.private_key(tmp_path / "key")


def test_a_signature_holds_for_its_text_and_its_key(tmp_path: Path) -> None:
    key, other = signing.private_key(tmp_path / "a"), signing.private_key(tmp_path / "b")
    signature = key.sign(b"text")
    signing.check(key.public_key(), signature, b"text")
    for public, text in ((key.public_key(), b"Text"), (other.public_key(), b"text")):
        with pytest.raises(BedplateError, match="was not signed by the key"):
            signing.check(public, signature, text)


# --- what is wanted ---


def installing() -> Iterator[Path]:
    """Roles whose tasks install packages."""
    modules = ("ansible.builtin.apt:", "ansible.builtin.package:", "pinned_packages:")
    for role in sorted(paths.ROLES.iterdir()):
        text = "".join(file.read_text() for file in (role / "tasks").glob("*.yml"))
        if any(module in text for module in modules):
            yield role


def test_every_role_that_installs_packages_says_which_in_a_variable() -> None:
    found = {role.name: roles.variable(role) for role in installing()}
    assert [name for name, word in found.items() if not word] == []
    for name, word in found.items():
        if name in (
            "nvidia_driver",
            "disaster_recovery",
        ):  # a module chooses on the host; only for its own hosts
            continue
        text = "".join(file.read_text() for file in (paths.ROLES / name / "tasks").glob("*.yml"))
        assert word in text, f"{name} installs something else than {word}"


def test_answers_of_all_hosts_are_put_together() -> None:
    def task(name: str, **said: Any) -> dict[str, Any]:
        return {
            "task": {"name": name},
            "hosts": {h: {"msg": {"role": name, "packages": p}} for h, p in said.items()},
        }

    pinned = [{"name": "cuda", "version": "13.0"}]
    answer = {"plays": [{"tasks": [task("base", a=["sudo"], b=["sudo", "kmod"]), task("cuda", a=pinned)]}]}
    assert roles.collect(answer) == [
        roles.Wanted("base", ("kmod", "sudo")),
        roles.Wanted("cuda", ("cuda=13.0*",)),
    ]
    failed = {"task": {"name": "base"}, "hosts": {"h": {"failed": True, "msg": "'x' is undefined"}}}
    with pytest.raises(BedplateError, match="packages of role base for h: 'x' is undefined"):
        roles.collect({"plays": [{"tasks": [failed]}]})


def test_what_apt_prints_becomes_places_of_the_mirror() -> None:
    uri = "http://x/debian/pool/main/c/chrony/chrony_4.3-2%2bdeb12u1_amd64.deb"
    text = f"Reading…\n'{uri}' c.deb 10 SHA256:{HEX}\n"
    (package,) = apt.parse_uris(text)
    assert (package.pool, package.size) == ("pool/main/c/chrony/chrony_4.3-2+deb12u1_amd64.deb", 10)
    assert (
        apt.Package("http://x/pool/main/o/o_1%3a9_amd64.deb", 1, HEX).pool == "pool/main/o/o_1%3a9_amd64.deb"
    )
    assert apt.Package("http://x/flat/o_1%3a9_amd64.deb", 1, HEX).pool == "o_1%3a9_amd64.deb"
    with pytest.raises(BedplateError, match="no SHA-256"):
        apt.parse_uris("'http://x/a.deb' a.deb 10 MD5Sum:abc")


def test_distributions_are_those_that_role_base_serves() -> None:
    debian = distributions.parse("Debian-12", "amd64")
    assert [archive["path"] for archive in debian.archives] == ["debian", "debian-security"]
    assert debian.facts["architecture"] == "x86_64"
    assert distributions.parse("Ubuntu-24.04", "arm64").code_name == "noble"
    for text, architecture in (("Debian-1", "amd64"), ("Debian-12", "sparc"), ("Plan-9", "amd64")):
        with pytest.raises(BedplateError, match="are not known"):
            distributions.parse(text, architecture)


def test_vendors_are_those_whose_sources_roles_name() -> None:
    assert vendors.of_role("cuda") == "nvidia"
    assert vendors.of_role("base") == ""


def test_releases_lie_where_the_roles_look_for_them() -> None:
    found = {word: releases.addresses(word) for word in releases.WORDS}
    assert found["container_runtime_release_url"][0] == "containerd"
    assert found["kubernetes_node_release_url"] == ("kubernetes", "https://dl.k8s.io")
    assert found["kubernetes_control_plane_etcd_release_url"][0] == "etcd"


def inventory(**words: Any) -> Inventory:
    """One control-plane host with the versions of _common."""
    common = ("versions", "container_runtime", "images", "models")
    shared = {
        k: v for name in common for k, v in yaml.safe_load((paths.COMMON / f"{name}.yml").read_text()).items()
    }
    groups = {"all": ("h",), "kubernetes": ("h",), "control_plane": ("h",)}
    return Inventory("test", Path("test"), {"h": shared | words}, groups)


def test_releases_follow_versions_and_pins() -> None:
    found = {r.pin: r for r in releases.wanted(inventory(kubernetes_node_sha256=HEX), "amd64")}
    assert found["kubernetes_node_sha256"].sha256 == HEX
    assert found["container_runtime_sha256"].sha256, "the catalogue's"
    assert found["kubernetes_control_plane_etcd_sha256"].sha256 == ""
    packaged = releases.wanted(inventory(container_runtime_source="package"), "amd64")
    assert "container_runtime_sha256" not in {r.pin for r in packaged}


def test_an_archive_that_nothing_pins_is_not_downloaded(tmp_path: Path) -> None:
    release = releases.Release("etcd/v1/e.tar.gz", "https://example.invalid/v1/e.tar.gz", "etcd_sha256")
    with pytest.raises(BedplateError, match="has no digest") as error:
        releases.collect(tmp_path / "bundle", [release], None, lambda _: None)
    assert "etcd_sha256" in error.value.remedy
    (tmp_path / "given" / "v1").mkdir(parents=True)
    (tmp_path / "given" / "v1" / "e.tar.gz").write_bytes(b"brought")
    found = releases.collect(tmp_path / "bundle", [release], tmp_path / "given", lambda _: None)
    assert found[0] == {release.path} and found[1] == 1
    assert found[2] == {"etcd_sha256": hashlib.sha256(b"brought").hexdigest()}


def test_images_are_kubeadms_and_those_that_the_platform_mentions() -> None:
    words = inventory(platform_registry="registry.example").shared
    cluster = platform_images.cluster(words)
    assert f"registry.k8s.io/pause:{words['version_pause']}" in cluster and len(cluster) == 8
    entry = words["catalogue_images"]["postgres"]
    reference = f"registry.example/library/postgres:{entry['tag']}"
    (only,) = platform_images.platform(words, {reference, "registry.example/not/there:1"})
    assert only == bundle_images.Wanted(reference, f"{entry['source']}:{entry['tag']}")
    pinned = words | {"platform_image_digests": {"postgres": DIGEST}}
    assert platform_images.platform(pinned, {f"{reference}@{DIGEST}"})[0].digest == DIGEST


def test_models_of_all_hosts_by_the_folder_of_the_catalogue() -> None:
    wanted = [
        {"name": "deepseek-r1-distill-qwen-7b", "manifest": HEX},
        {"name": "own/model/1", "manifest": HEX},
    ]
    found = copies.wanted_models(inventory(model_store_models=wanted))
    assert set(found) == {
        "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B/916b56a44061fd5cd7d6a8fb632557ed4f724f60",
        "own/model/1",
    }
    with pytest.raises(BedplateError, match="model own/model/1 is not there"):
        copies.models(Path("/nowhere"), {"own/model/1": HEX}, None, lambda _: None)


def test_every_path_of_a_bundle_has_an_owner() -> None:
    folders = {"containerd", "etcd"}
    table = {"debian/x": "packages", "mirror.asc": "packages", "etcd/v1/x": "releases", "models/x": "models"}
    assert {path: owner(path, folders) for path in table} == table
    with pytest.raises(BedplateError, match="belongs to no bundle"):
        owner("letter.txt", folders)


# --- the mirror ---


def test_nginx_is_told_every_image_and_nothing_else() -> None:
    ported = replace(IMAGE, reference="registry.example:5000/a/b:1")
    manifest = replace(MANIFEST, images=(IMAGE, ported))
    text = server.configuration(manifest, server.Serving(Path("/srv/bundle"), "::1", 80), Path("/run/x"), "")
    assert f'"registry.k8s.io/pause:3.10.2" {DIGEST};' in text and f"{DIGEST} {KIND};" in text
    assert '"registry.example%3A5000" "registry.example:5000/";' in text
    assert "listen [::1]:80;" in text and "user " not in text and "ssl" not in text
    secure = server.Serving(Path("/b"), certificate=Path("/c.pem"), certificate_key=Path("/c.key"))
    assert "listen 127.0.0.1:8080 ssl;" in server.configuration(manifest, secure, Path("/run/x"), "www-data")


@pytest.mark.parametrize("path", ['/srv/a"b', "/srv/a b", "/srv/$x", "/srv/a;b", "/srv/a\nb"])
def test_a_path_that_nginx_would_read_otherwise_is_refused(path: str) -> None:
    with pytest.raises(BedplateError, match="nginx reads otherwise"):
        server.configuration(MANIFEST, server.Serving(Path(path)), Path("/run/x"), "")


def test_a_mirror_that_nobody_could_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0o700)
    with pytest.raises(BedplateError, match="may not enter"):
        server._readable(tmp_path / "shut")
