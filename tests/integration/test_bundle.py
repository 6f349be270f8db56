"""A whole small bundle: built from an upstream over HTTP, verified, served by nginx, and installed from by
the real apt, skopeo and pip. Packages, images and programs in it are stand-ins (tests/bundle_site.py)."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bedplate import evidence
from bedplate.bundle import build as building
from bedplate.bundle import images, packages, roles, signing, tree
from bedplate.bundle.apt import Apt
from bedplate.bundle.build import Order, build
from bedplate.bundle.manifest import NAME, SIGNATURE, Manifest, document, parse
from bedplate.errors import BedplateError
from bedplate.ports import free_ports
from tests.bundle_site import DEBIAN, INVENTORY, MODEL, WHEEL, Sources, sources

COMMAND = "pytest tests/integration/test_bundle.py"
NEEDED = ("skopeo", "apt-ftparchive", "gpg", "/usr/sbin/nginx")
PAUSE = "registry.k8s.io/pause:3.10.2"

pytestmark = pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason="run `make setup`")


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that everybody may enter, as nginx's workers have to."""
    with tempfile.TemporaryDirectory(prefix="bedplate-bundle-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def site(place: Path) -> Iterator[Sources]:
    """What the bundle is built from; pip finds its index in it, and the builder keeps its state there."""
    (place / "site").mkdir()
    with sources(place / "site") as made, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(made.folder / "index"))
        patch.setattr(Order, "state", property(lambda order: place / "state"))
        wanted = roles.ask(INVENTORY, DEBIAN.facts)  # once: Ansible takes seconds
        patch.setattr(roles, "ask", lambda *_: wanted)
        yield made


@pytest.fixture(scope="module")
def bundle(site: Sources, place: Path) -> Path:
    """The bundle, built once."""
    build(site.order(place / "bundle"))
    return place / "bundle"


@pytest.fixture
def copy(bundle: Path, place: Path) -> Iterator[Path]:
    """A copy to break."""
    with tempfile.TemporaryDirectory(dir=place) as name:
        shutil.copytree(bundle, Path(name) / "copy")
        yield Path(name) / "copy"


@contextmanager
def mirror(bundle: Path) -> Iterator[str]:
    """`bedplate bundle serve`; its address once it answers."""
    port = free_ports(1)[0]
    words = [
        sys.executable,
        "-m",
        "bedplate",
        "bundle",
        "serve",
        str(bundle),
        "--key",
        f"{bundle}/bundle.pub",
    ]
    with subprocess.Popen([*words, "--port", str(port)], stderr=subprocess.PIPE, text=True) as process:
        url = f"http://127.0.0.1:{port}"
        for _ in range(900):
            if process.poll() is not None or _answers(url):
                break
            time.sleep(0.2)
        try:
            assert process.poll() is None, process.stderr and process.stderr.read()
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)


@pytest.fixture(scope="module")
def url(bundle: Path) -> Iterator[str]:
    """The mirror."""
    with mirror(bundle) as address:
        yield address


def _answers(url: str) -> bool:
    try:
        return bool(urllib.request.urlopen(f"{url}/v2/", timeout=2).status == 200)
    except OSError:
        return False


def get(url: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body."""
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


def run(*command: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """A program, which may fail."""
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, env=os.environ | settings
    )


def bedplate(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "bedplate", "bundle", *words)


def whole_or_not(bundle: Path, key: Path | None = None) -> str:
    """What verify says of it: ``whole``, ``damaged``, or ``no bundle`` (not finished or signed)."""
    try:
        manifest = tree.opened(bundle, key or bundle / "bundle.pub")
    except BedplateError as error:
        assert error.code == 1, error
        return "no bundle"
    return "damaged" if tree.verify(bundle, manifest) else "whole"


# --- build ---


def test_a_second_build_fetches_nothing_and_changes_no_byte(site: Sources, bundle: Path) -> None:
    before = {path: (path.stat().st_ino, path.read_bytes()) for path in bundle.rglob("*") if path.is_file()}
    asked = len(site.upstream.asked)
    again = build(site.order(bundle))
    fetched = [path for path, _ in site.upstream.asked[asked:] if not path.endswith("InRelease")]
    changed = [p for p, (_, text) in before.items() if p.read_bytes() != text]
    claim = "Files that a second build of an unchanged bundle fetches or changes"
    count = sum(again.fetched.values()) + len(fetched) + len(changed) + int(again.changed)
    record("second", claim, count, goal="== 0")
    assert (again.fetched, fetched, changed, again.changed) == (
        dict.fromkeys(again.fetched, 0),
        [],
        [],
        False,
    )


def record(name: str, claim: str, value: float, unit: str = "", goal: str = "") -> None:
    """Evidence of the bundle."""
    evidence.record(
        "lab",
        f"hosts.bundle.{name}",
        claim,
        value,
        unit=unit,
        goal=goal,
        proved_on="program",
        command=COMMAND,
    )


def test_what_is_wanted_no_more_goes_and_the_rest_stays(site: Sources, copy: Path) -> None:
    (copy / "wheels" / "old-1.0-py3-none-any.whl").write_bytes(b"old")
    build(site.order(copy, "wheels"))
    assert not (copy / "wheels" / "old-1.0-py3-none-any.whl").exists()
    assert (copy / "wheels" / WHEEL).exists() and (copy / "models" / MODEL / "config.json").exists()
    assert not tree.verify(copy, tree.opened(copy, copy / "bundle.pub"))


def undated(manifest: Manifest) -> set[tuple[str, str]]:
    """Files without those that say when they were signed."""
    return {(file.path, file.sha256) for file in manifest.files if not file.path.endswith("/InRelease")}


def test_a_build_that_is_cut_anywhere_is_no_bundle_and_goes_on(
    site: Sources, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after each kind in turn: never verified, and the last run makes the same bundle."""
    out, whole = place / "cut", parse((place / "bundle" / NAME).read_bytes())
    real, refused = building._collect, 0
    for number in range(1, 6):
        done: list[str] = []

        def cut(kind: str, *words: Any, limit: int = number, done: list[str] = done) -> None:
            if len(done) == limit:
                raise KeyboardInterrupt
            real(kind, *words)
            done.append(kind)

        monkeypatch.setattr(building, "_collect", cut)
        if number < 5:
            with pytest.raises(KeyboardInterrupt):
                build(site.order(out))
            refused += whole_or_not(out) == "no bundle"
    build(site.order(out))
    made = parse((out / NAME).read_bytes())
    assert refused == 4
    assert undated(made) == undated(whole)
    assert made.images == whole.images
    record(
        "cut",
        "Points (of 4) at which a cut build passes for a bundle, or does not converge",
        4 - refused,
        goal="== 0",
    )


def test_a_package_that_is_cut_while_it_comes_is_fetched_again(site: Sources, place: Path) -> None:
    order = site.order(place / "torn", "packages")
    site.upstream.cuts = 100
    try:
        with pytest.raises(BedplateError) as error:
            build(order)
    finally:
        site.upstream.cuts = 0
    assert not (order.out / SIGNATURE).exists() and not list(order.out.glob("debian/pool/**/*.deb"))
    assert "cannot be" in str(error.value)
    build(order)
    assert not tree.verify(order.out, tree.opened(order.out, order.out / "bundle.pub"))


def test_an_upstream_that_is_away_is_one_message(site: Sources, place: Path) -> None:
    (place / "away.sources").write_text(
        (site.folder / "upstream.sources").read_text().replace(site.upstream.url, "http://127.0.0.1:9")
    )
    with pytest.raises(BedplateError, match="package lists cannot be had"):
        build(replace(site.order(place / "away", "packages"), apt_sources=place / "away.sources"))


def test_an_image_that_cannot_be_had_is_named_with_the_remedy(site: Sources, place: Path) -> None:
    with pytest.raises(BedplateError) as error:
        images.collect(
            place / "none",
            images.Request([images.Wanted(PAUSE, "127.0.0.1:9/pause:3.10.2")]),
            (),
            lambda _: None,
        )
    assert PAUSE in str(error.value) and "--images" in error.value.remedy


def test_a_full_disk_is_said_and_the_rest_is_kept(site: Sources, place: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounts a small file system")
    small = place / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", small], check=True)
    try:
        with pytest.raises(BedplateError, match=r"disk of .* is full"):
            build(site.order(small / "bundle", "images"))
        assert whole_or_not(small / "bundle") == "no bundle"
        subprocess.run(["mount", "-o", "remount,size=50m", small], check=True)
        build(site.order(small / "bundle", "images"))
        assert whole_or_not(small / "bundle") == "whole"
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_folder_with_other_things_is_left_alone(site: Sources, place: Path) -> None:
    (place / "mine").mkdir()
    (place / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(BedplateError, match="holds something else"):
        build(site.order(place / "mine", "wheels"))
    assert [path.name for path in (place / "mine").iterdir()] == ["letter.txt"]


def test_an_archive_with_another_digest_than_pinned_is_refused(site: Sources, place: Path) -> None:
    with pytest.raises(BedplateError, match="is pinned"):
        build(replace(site.order(place / "pin", "releases"), overlays=()))  # the catalogue's own digest


# --- verify ---


def test_one_flipped_byte_in_any_file_is_named(copy: Path) -> None:
    manifest = tree.opened(copy, copy / "bundle.pub")
    chosen = random.Random(20).sample([file for file in manifest.files if file.size], 20)
    unnamed = 0
    for file in chosen:
        data = bytearray((copy / file.path).read_bytes())
        position = random.Random(file.path).randrange(len(data))
        data[position] ^= 0x10
        (copy / file.path).write_bytes(data)
        unnamed += tree.verify(copy, manifest).changed != (file.path,)
        data[position] ^= 0x10
        (copy / file.path).write_bytes(data)
    record("flipped", "Flipped bytes, of 20 in 20 files, that verify does not name", unnamed, goal="== 0")
    assert unnamed == 0


def test_missing_changed_and_unexpected_files_are_named_as_such(copy: Path) -> None:
    (copy / "mirror.asc").unlink()
    (copy / "wheels" / WHEEL).write_bytes(b"x")
    (copy / "wheels" / "extra").write_text("x")
    (copy / "debian" / "link").symlink_to("/etc")
    said = bedplate("verify", copy, "--key", copy / "bundle.pub", "--json")
    found = json.loads(said.stdout)
    assert said.returncode == 1 and found["whole"] is False
    assert found["missing"] == ["mirror.asc"] and found["changed"] == [f"wheels/{WHEEL}"]
    assert found["unexpected"] == ["debian/link", "wheels/extra"]


def test_another_key_is_refused_whatever_the_bundle_says(copy: Path, place: Path) -> None:
    key = signing.private_key(place / "other.key")
    (place / "other.pub").write_bytes(signing.public_pem(key))
    said = bedplate("verify", copy, "--key", place / "other.pub")
    assert said.returncode == 1 and "was not signed by the key" in said.stderr
    (copy / SIGNATURE).write_bytes(key.sign((copy / NAME).read_bytes()))  # somebody signs it himself
    (copy / "bundle.pub").write_bytes(signing.public_pem(key))
    assert whole_or_not(copy, place / "bundle" / "bundle.pub") == "no bundle"


def test_a_manifest_that_leads_outside_is_refused_even_when_signed(copy: Path, place: Path) -> None:
    manifest = parse((copy / NAME).read_bytes())
    key = signing.private_key(place / "state" / "signing.key")
    for path in ("../outside", "/etc/passwd", "a/../../b", "a//b", "./a", "a\nb", NAME):
        text = document(replace(manifest, files=(replace(manifest.files[0], path=path),)))
        (copy / NAME).write_bytes(text)
        (copy / SIGNATURE).write_bytes(key.sign(text))
        with pytest.raises(BedplateError, match="names what no bundle holds"):
            tree.opened(copy, copy / "bundle.pub")


def test_openssl_agrees_with_the_signature(bundle: Path) -> None:
    words = ("-pubin", "-inkey", bundle / "bundle.pub", "-rawin", "-in", bundle / NAME)
    said = run("openssl", "pkeyutl", "-verify", *words, "-sigfile", bundle / SIGNATURE)
    assert said.returncode == 0, said.stdout + said.stderr


# --- serve ---


def test_a_bundle_that_is_not_whole_is_not_served(copy: Path) -> None:
    (copy / "mirror.asc").unlink()
    said = bedplate("serve", copy, "--key", copy / "bundle.pub", "--port", "1")
    assert said.returncode == 1 and "mirror.asc" in said.stderr


def test_apt_installs_from_the_mirror_and_from_nowhere_else(url: str, bundle: Path, place: Path) -> None:
    """Into a folder, with the sources that role base writes: two packages and what they need."""
    stanzas = [
        f"Types: deb\nURIs: {url}/{archive['path']}\nSuites: "
        + " ".join(f"bookworm{suffix}" for suffix in archive["suites"])
        + "\nComponents: main non-free-firmware\nSigned-By:\n"
        + "\n".join(f" {line or '.'}" for line in (bundle / "mirror.asc").read_text().strip().splitlines())
        for archive in DEBIAN.archives
    ]
    apt = Apt(place / "host", "\n\n".join(stanzas), "amd64")
    apt.update()
    wanted = apt.closure("test", ("chrony", "runc"))
    assert {package.uri.partition("/pool/")[0] for package in wanted} == {
        f"{url}/debian",
        f"{url}/debian-security",
    }
    apt.fetch([(package, place / "host" / f"{number}.deb") for number, package in enumerate(wanted)])
    for number in range(len(wanted)):
        done = run("dpkg-deb", "--extract", place / "host" / f"{number}.deb", place / "host" / "root")
        assert done.returncode == 0, done.stderr
    there = {path.name for path in (place / "host" / "root" / "usr/share/stand-in").iterdir()}
    assert there == {"chrony", "runc", "stand-in-common"}


def test_a_changed_package_list_is_refused_by_apt(copy: Path, place: Path) -> None:
    key = "\n".join(f" {line or '.'}" for line in (copy / "mirror.asc").read_text().strip().splitlines())
    lists = copy / "debian/dists/bookworm/main/binary-amd64"
    (lists / "Packages").write_text((lists / "Packages").read_text().replace("1:1.0", "1:9.0"))
    (lists / "Packages.gz").unlink()
    stanza = f"Types: deb\nURIs: file:{copy}/debian\nSuites: bookworm\nComponents: main\nSigned-By:\n{key}\n"
    with pytest.raises(BedplateError, match="package lists cannot be had"):
        Apt(place / "tampered", stanza, "amd64").update()


def test_skopeo_pulls_by_tag_and_by_digest(url: str, bundle: Path, tmp_path: Path) -> None:
    image = next(i for i in parse((bundle / NAME).read_bytes()).images if i.reference == PAUSE)
    address = f"docker://{url.removeprefix('http://')}/{PAUSE.rpartition(':')[0]}"
    for number, reference in enumerate((f"{address}:3.10.2", f"{address}@{image.digest}")):
        target = tmp_path / str(number)
        done = run(
            "skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", reference, f"dir:{target}"
        )
        assert done.returncode == 0, done.stderr
        assert f"sha256:{tree.sha256(target / 'manifest.json')}" == image.digest
    listed = run("skopeo", "list-tags", "--tls-verify=false", address)
    assert json.loads(listed.stdout)["Tags"] == ["3.10.2"]


def test_the_registry_answers_as_containerd_asks(url: str, bundle: Path) -> None:
    """With ?ns=; an image of the same name in another registry is another image, and is not there."""
    image = next(i for i in parse((bundle / NAME).read_bytes()).images if i.reference == PAUSE)
    for method in ("GET", "HEAD"):
        status, headers, body = get(f"{url}/v2/pause/manifests/3.10.2?ns=registry.k8s.io", method)
        assert (status, headers["Docker-Content-Digest"]) == (200, image.digest)
        assert headers["Content-Type"] == image.manifests[0][1]
    config = json.loads(get(f"{url}/v2/pause/manifests/{image.digest}?ns=registry.k8s.io")[2])["config"]
    status, headers, body = get(f"{url}/v2/pause/blobs/{config['digest']}?ns=registry.k8s.io")
    assert (status, len(body)) == (200, config["size"])
    for path in (
        "pause/manifests/3.10.2?ns=docker.io",
        "pause/manifests/3.10.2",
        "pause/manifests/9?ns=registry.k8s.io",
        f"pause/manifests/sha256:{'0' * 64}",
        f"pause/blobs/sha256:{'0' * 64}",
        f"pause/manifests/{config['digest']}",
        "nothing",
    ):
        assert get(f"{url}/v2/{path}")[0] == 404, path
    assert get(f"{url}/v2/pause/blobs/uploads/?ns=registry.k8s.io", "POST")[0] == 405


def test_pip_installs_from_an_index_and_from_links(url: str, tmp_path: Path) -> None:
    for way in (("--index-url", f"{url}/wheels/simple/"), ("--no-index", "--find-links", f"{url}/wheels/")):
        target = tmp_path / way[0].strip("-")
        words = ("-m", "pip", "--isolated", "install", "--quiet", "--no-cache-dir", "--target", target)
        done = run(sys.executable, *words, *way, "stand-in==1.0")
        assert done.returncode == 0, done.stderr
        assert (target / "stand_in.py").read_text() == "ANSWER = 42\n"


def test_files_come_whole_and_in_parts_and_nothing_outside_comes(url: str, bundle: Path) -> None:
    path = f"models/{MODEL}/model.safetensors"
    whole = (bundle / path).read_bytes()
    assert get(f"{url}/{path}")[2] == whole
    status, _, part = get(f"{url}/{path}", Range="bytes=1000-1999")
    assert (status, part) == (206, whole[1000:2000])
    for outside in (
        "../../../etc/passwd",
        "..%2f..%2fetc/passwd",
        "%2e%2e/%2e%2e/etc/passwd",
        "models/../../etc",
    ):
        assert get(f"{url}/{outside}")[0] in (400, 404), outside
    assert get(f"{url}/{path}", "DELETE")[0] == 405


def test_an_image_of_several_architectures_keeps_its_digest(url: str, bundle: Path, place: Path) -> None:
    """Copied from a registry (this mirror) with the index that says which architecture is which."""
    source = place / "several"
    shutil.copytree(bundle, source)
    layout = images.Layout(source / "images")
    child = {key: layout.top(PAUSE)[key] for key in ("mediaType", "digest", "size")}
    other = {**child, "digest": f"sha256:{'1' * 64}", "platform": {"os": "linux", "architecture": "arm64"}}
    mine = {**child, "platform": {"os": "linux", "architecture": "amd64"}}
    kind = "application/vnd.oci.image.index.v1+json"
    raw = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": [other, mine]}).encode()
    layout.point(PAUSE, raw, kind)
    image = layout.image(images.Wanted(PAUSE, PAUSE), "made here", "test")
    manifest = replace(parse((bundle / NAME).read_bytes()), images=(image,))
    there = tree.hashed(source, list(tree.files(source)), 2, lambda *_: None)
    text = document(replace(manifest, files=tuple(there)))
    (source / NAME).write_bytes(text)
    (source / SIGNATURE).write_bytes(signing.private_key(place / "state" / "signing.key").sign(text))
    with mirror(source) as address, pytest.MonkeyPatch.context() as patch:
        host = address.removeprefix("http://")
        (place / "registries.conf").write_text(f'[[registry]]\nlocation = "{host}"\ninsecure = true\n')
        patch.setenv("CONTAINERS_REGISTRIES_CONF", str(place / "registries.conf"))
        for digest in ("", image.digest):
            want = images.Wanted("other.example/pause:1", f"{host}/{PAUSE}", digest)
            out = place / f"copied{len(digest)}"
            found, fetched = images.collect(out, images.Request([want]), (), lambda _: None)
            assert (found[0].digest, found[0].origin, fetched) == (image.digest, "upstream", 1)
            assert [d for d, _ in found[0].manifests] == [image.digest, child["digest"]]
            again = images.collect(out, images.Request([want]), found, lambda _: None)
            assert again == (found, 0), "nobody is asked again"


def test_packages_of_a_role_that_no_source_has_are_named(site: Sources, place: Path) -> None:
    request = packages.Request(
        DEBIAN,
        (site.folder / "upstream.sources").read_text(),
        [packages.Wanted("stand_in", ("no-such-package",))],
        {},
        place / "state" / "mirror-key.asc",
        place / "lists",
    )
    with pytest.raises(BedplateError, match=r"role stand_in .*no-such-package"):
        packages.collect(place / "unknown", request, lambda _: None)
