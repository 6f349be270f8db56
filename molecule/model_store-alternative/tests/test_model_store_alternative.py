"""A host with models from a mirror, a cache, and a rule by which others go."""

import json

import pytest

STORE = "/srv/hot/models"
SERVED = "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B/ad9f0ae0864d7fbcd1cd905e3c6c5b069cc8b562"


@pytest.mark.parametrize("model", [SERVED, "triton/bge-m3"])
def test_models_are_there_as_the_mirror_has_them(host, model):
    compared = host.run(f"diff --recursive --no-dereference {STORE}/{model} /srv/models/{model}")
    assert compared.rc == 0, compared.stdout


def test_whoever_serves_them_reads_them_and_nobody_writes(host):
    assert host.check_output(f"find {STORE}/{SERVED} -type f ! -perm 0444") == ""
    as_nobody = f"su -s /bin/sh nobody -c 'cat {STORE}/{SERVED}/model-*.safetensors | sha256sum'"
    assert host.check_output(as_nobody) == host.check_output(f"cat /srv/models/{SERVED}/model-* | sha256sum")


def test_nothing_is_left_aside(host):
    assert host.check_output(f"find {STORE}/.bedplate/staging {STORE}/.bedplate/trash -type f") == ""


def test_unlisted_models_are_gone_except_what_is_kept(host):
    assert not host.file(f"{STORE}/acme/old").exists
    assert host.file(f"{STORE}/acme/kept/1/config.json").exists


def test_what_came_and_from_where_is_written_down(host):
    results = json.loads(host.file("/var/lib/bedplate/results/model_store.json").content_string)
    assert {model["path"] for model in results["models"]} == {SERVED, "triton/bge-m3"}
    assert all(
        model["from"] == {"http://127.0.0.1:8080/models": model["bytes"]} for model in results["models"]
    )


def test_the_cache_has_every_content_once(host):
    cached = host.check_output(
        "cd /srv/warm/models/sha256 && sha256sum */* | awk '{print $1 == substr($2, 4)}' | sort -u"
    )
    assert cached == "1"
