"""Images of a bundle over several builds, by the real skopeo."""

import json
import shutil
from pathlib import Path

import pytest

from bedplate.bundle import images
from bedplate.bundle.manifest import Image
from tests import oci_archive

pytestmark = pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")
OWN = "registry.example.internal/own:1"


def test_an_image_that_is_made_anew_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    archives, bundle, program = tmp_path / "archives", tmp_path / "bundle", tmp_path / "program"
    bundle.mkdir()
    known: list[Image] = []
    digests = []
    for text in ("first", "second", "second"):
        program.write_text(text)
        oci_archive.write(archives / "own.tar", OWN, {"/program": program}, ["/program"])
        found = images.archives(archives)
        request = images.Request([images.Wanted(OWN, OWN)], archives=found)
        known, _ = images.collect(bundle, request, known, print)
        digests.append(known[0].digest)
    assert digests[0] != digests[1] == digests[2]
    entries = json.loads((bundle / "images" / "index.json").read_bytes())["manifests"]
    assert [entry["digest"] for entry in entries] == [digests[1]]
    assert not (bundle / "images" / "blobs" / "sha256" / digests[0].partition(":")[2]).exists()
