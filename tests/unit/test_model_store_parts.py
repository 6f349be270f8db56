"""Manifests that cannot be trusted, addresses of sources, signatures of object stores: small pure parts."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from model_store import manifest, sigv4, sources

from bedplate.model_files import manifest as writer

SUM = "a" * 64
GOOD = {"path": "w.bin", "size": 3, "sha256": SUM}


def document(*files: object, form: object = 1) -> bytes:
    return json.dumps({"format": form, "files": list(files)}).encode()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[]", "not of format 1"),
        (document(GOOD, form=2), "not of format 1"),
        (document(), "lists no files"),
        (document({"path": "w.bin"}), "needs path, size and sha256"),
        (document({**GOOD, "url": "http://elsewhere"}), "and nothing else"),
        *(
            (document({**GOOD, "path": path}), "no path that a file of a model may have")
            for path in (
                "",
                "/etc/shadow",
                "../x",
                "a/../../x",
                "a//b",
                "a/.",
                "a\n",
                "a\x00b",
                7,
                "b" * 1025,
            )
        ),
        (document({**GOOD, "path": "w.bin.part"}), "no path that a file of a model may have"),
        (document({**GOOD, "path": "bedplate-manifest.json"}), "no path that a file of a model may have"),
        *((document({**GOOD, "size": size}), "is no number of bytes") for size in (-1, 1.5, "3", True, None)),
        *(
            (document({**GOOD, "sha256": s}), "is no SHA-256")
            for s in ("", "a" * 63, "A" * 64, "a" * 64 + "\n", 7)
        ),
        (document(GOOD, GOOD), "w.bin is listed more than once"),
        (document(GOOD, {**GOOD, "path": "w.bin/x"}), "w.bin is a file and a folder at once"),
    ],
)
def test_a_manifest_that_cannot_be_trusted_is_refused(text: bytes, words: str) -> None:
    with pytest.raises(manifest.BadManifest, match=words):
        manifest.parse(text)


def test_a_manifest_is_what_was_pinned_or_refused() -> None:
    text = document(GOOD)
    assert manifest.parse(text, manifest.digest_of(text)).size == 3
    with pytest.raises(manifest.BadManifest, match="that is pinned"):
        manifest.parse(text, "0" * 64)


def test_what_the_controller_writes_the_hosts_understand(tmp_path: Path) -> None:
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a folder" / "ü%.bin").write_bytes(b"abc")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "left out").write_bytes(b"x")
    text = writer.document(writer.entries(tmp_path, 2, lambda *_: None))
    read = manifest.parse(text, writer.digest(text))
    assert [(e.path, e.size) for e in read.files] == [("a folder/ü%.bin", 3)]
    assert read.files[0].sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert (writer.FORMAT, writer.NAME) == (manifest.FORMAT, manifest.MANIFEST_NAME)


def test_an_object_store_gets_the_signature_of_amazons_own_example() -> None:
    """GET Object in "Signature Calculations for the Authorization Header", AWS S3 API reference."""
    signed = sigv4.headers(
        sigv4.Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1"),
        "examplebucket.s3.amazonaws.com",
        "/test.txt",
        {"Range": "bytes=0-9"},
        datetime(2013, 5, 24, tzinfo=UTC),
    )
    signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    assert signed["authorization"].endswith(f"Signature={signature}")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ({"url": "file:///mnt/models"}, "/mnt/models"),
        ({"url": "https://mirror.example.com/models/"}, "https://mirror.example.com/models"),
        (
            {
                "url": "s3://models/ai/",
                "endpoint": "https://s3.example.com:8333/",
                "access_key": "k",
                "secret_key": "s",
            },
            "https://s3.example.com:8333/models/ai",
        ),
    ],
)
def test_addresses_of_sources(words: dict[str, str], name: str) -> None:
    assert sources.source_of(words).name == name


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"url": "ftp://x/y"}, "is no source"),
        ({"url": "/mnt/models"}, "is no source"),
        ({"url": "file://host/models"}, "is no source"),
        ({"url": "https:///models"}, "is no source"),
        ({"url": "s3://models"}, "needs endpoint, access_key, secret_key besides"),
    ],
)
def test_addresses_that_are_none(words: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        sources.source_of(words)
