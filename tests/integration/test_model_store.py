"""Role model_store against a real mirror that misbehaves, disks that are full, and power that goes: the
visible model
is always whole and right, or absent."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from model_store.model import MANIFEST_NAME

from bedplate import evidence
from tests.integration.mirror import Mirror, serving
from tests.integration.model_samples import ABSENT, WHOLE, flip, run, start, state
from tests.model_folder import MIB, Sample, make

COMMAND = "pytest tests/integration/test_model_store.py"
CUTS = 10


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """One model at its source; tests that damage it copy it first."""
    return make(tmp_path_factory.mktemp("source"))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def mirror_of(sample: Sample, **how: object) -> Mirror:
    return Mirror(sample.root, **how)  # type: ignore[arg-type]


def sources(mirror: Mirror) -> list[dict[str, str]]:
    return [{"url": mirror.url}]


def parts(store: Path) -> int:
    """Bytes that are kept aside."""
    staging = store / ".bedplate" / "staging"
    files = (file for file in staging.rglob("*") if file.is_file() and file.name != MANIFEST_NAME)
    return sum(file.stat().st_size for file in files)


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A filesystem of ``size`` bytes."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


class TestComes:
    def test_a_model_comes_and_stays(self, sample: Sample, store: Path, tmp_path: Path) -> None:
        results = tmp_path / "results" / "model_store.json"
        with serving(mirror_of(sample)) as mirror:
            first = run(store, sample, sources=sources(mirror), results=str(results))
            assert first["changed"] and not first["failed"], first
            assert state(store, sample) == WHOLE
            asked = len(mirror.asked)
            again = run(store, sample, sources=sources(mirror), results=str(results))
            assert not again["changed"] and again["plan"] == []
            assert len(mirror.asked) == asked, "the second run asked nobody"
        (came,) = json.loads(results.read_text())["models"]
        assert (came["path"], came["bytes"]) == (sample.path, sample.size)
        assert came["from"][mirror.url] == sample.size

    def test_check_mode_says_what_the_next_run_does_and_does_nothing(
        self, sample: Sample, store: Path
    ) -> None:
        with serving(mirror_of(sample)) as mirror:
            said = run(store, sample, sources=sources(mirror), check=True)
            assert said["changed"] and not store.exists()
            assert run(store, sample, sources=sources(mirror))["plan"] == said["plan"]
            assert not run(store, sample, sources=sources(mirror), check=True)["changed"]

    def test_it_is_read_only_then(self, sample: Sample, store: Path) -> None:
        run(store, sample, sources=[{"url": f"file://{sample.root}"}])
        modes = {f.stat().st_mode & 0o777 for f in (store / sample.path).rglob("*") if f.is_file()}
        assert modes == {0o444}

    def test_a_folder_is_a_source(self, sample: Sample, store: Path) -> None:
        assert run(store, sample, sources=[{"url": f"file://{sample.root}"}])["changed"]
        assert state(store, sample) == WHOLE

    def test_a_token_opens_the_mirror(self, sample: Sample, store: Path) -> None:
        with serving(mirror_of(sample, token="let-me-in")) as mirror:
            refused = run(store, sample, sources=sources(mirror))
            assert refused["failed"] and "401" in refused["msg"]
            assert run(store, sample, sources=[{"url": mirror.url, "token": "let-me-in"}])["changed"]
        assert state(store, sample) == WHOLE

    def test_a_second_source_fills_in_for_the_first(
        self, sample: Sample, store: Path, tmp_path: Path
    ) -> None:
        half = make(tmp_path / "half", seed=1)
        (half.folder / "tokenizer.json").unlink()
        both = [{"url": f"file://{half.root}"}, {"url": f"file://{sample.root}"}]
        assert run(store, sample, sources=both)["changed"]
        assert state(store, sample) == WHOLE


class TestCut:
    def test_killed_at_ten_random_points(self, sample: Sample, store: Path) -> None:
        """SIGKILL after a random number of bytes of what is still missing, ten times, then one run to the
        end."""
        chance = random.Random(os.environ.get("PYTEST_SEED", "model_store"))
        seen, kept = [], []
        with serving(mirror_of(sample, pause=0.004)) as mirror:
            for _ in range(CUTS):
                already = parts(store)
                point = chance.randrange(1, max(2, (sample.size - already) // 3))
                process = start(store, sample, sources=sources(mirror), jobs=2)
                mirror.sent = 0

                mirror.on_piece = partial(_kill_after, process, point)
                process.communicate(timeout=60)
                mirror.on_piece = lambda sent: None
                assert process.returncode == -signal.SIGKILL
                seen.append(state(store, sample))
                kept.append(parts(store))
            mirror.sent = 0
            last = run(store, sample, sources=sources(mirror))
        wrong = sum(one != ABSENT for one in seen) + (state(store, sample) != WHOLE)
        assert wrong == 0 and last["changed"], (seen, last)
        assert kept == sorted(kept), "what came is never lost"
        assert mirror.sent < sample.size, "the last run continued where the others were cut"
        _record("cut", f"Visible models that are not whole after {CUTS} transfers cut by SIGKILL", wrong)

    @pytest.mark.parametrize(
        ("step", "seen"), [("seal", ABSENT), ("sync", ABSENT), ("show", ABSENT), ("empty_trash", WHOLE)]
    )
    def test_killed_while_it_becomes_visible(self, sample: Sample, store: Path, step: str, seen: str) -> None:
        """After the last byte: before it is sealed, half sealed, before the rename, right after it."""
        assert _dies_at(step, store, sample) == 9
        assert state(store, sample) == seen
        assert run(store, sample, sources=[{"url": f"file://{sample.root}"}])["changed"] is (seen == ABSENT)
        assert state(store, sample) == WHOLE
        assert parts(store) == 0

    def test_connections_that_break_are_taken_up_again(self, sample: Sample, store: Path) -> None:
        with serving(mirror_of(sample, cuts=3 * MIB)) as mirror:
            assert run(store, sample, sources=sources(mirror))["changed"]
        assert state(store, sample) == WHOLE
        assert any(asked.startswith("bytes=") for _, asked in mirror.asked)

    def test_a_server_that_ignores_ranges(self, sample: Sample, store: Path) -> None:
        with serving(mirror_of(sample, pause=0.004)) as mirror:
            process = start(store, sample, sources=sources(mirror), jobs=1)
            mirror.on_piece = lambda sent: process.kill() if sent > 2 * MIB else None
            process.communicate(timeout=60)
        with serving(mirror_of(sample, ranges=False)) as mirror:
            assert parts(store) > 0
            assert run(store, sample, sources=sources(mirror))["changed"]
            assert any(asked.startswith("bytes=") for _, asked in mirror.asked)
        assert state(store, sample) == WHOLE

    def test_two_runs_at_once(self, sample: Sample, store: Path) -> None:
        with serving(mirror_of(sample, pause=0.01)) as mirror:
            process = start(store, sample, sources=sources(mirror), jobs=1)
            begun = threading.Event()
            mirror.on_piece = lambda sent: begun.set()
            assert begun.wait(30)
            second = run(store, sample, sources=sources(mirror))
            assert second["failed"] and "another run is at work" in second["msg"]
            out, _ = process.communicate(timeout=60)
        assert json.loads(out)["changed"] and state(store, sample) == WHOLE


class TestWrongBytes:
    def test_one_byte_flipped_at_the_source(self, tmp_path: Path, store: Path) -> None:
        wrong = make(tmp_path / "source")
        flip(wrong.folder / "model-00002-of-00002.safetensors", 2 * MIB)
        with serving(mirror_of(wrong)) as mirror:
            said = run(store, wrong, sources=sources(mirror))
        assert (
            said["failed"] and "model-00002-of-00002.safetensors" in said["msg"] and "SHA-256" in said["msg"]
        )
        visible = state(store, wrong)
        assert visible == ABSENT
        _record(
            "flipped", "Visible models with a byte that was flipped at the source", int(visible != ABSENT)
        )

    def test_another_source_makes_it_good(self, tmp_path: Path, sample: Sample, store: Path) -> None:
        wrong = make(tmp_path / "source")
        flip(wrong.folder / "tokenizer.json", 5)
        both = [{"url": f"file://{wrong.root}"}, {"url": f"file://{sample.root}"}]
        assert run(store, sample, sources=both)["changed"]
        assert state(store, sample) == WHOLE

    def test_one_byte_flipped_in_what_was_kept(self, sample: Sample, store: Path) -> None:
        with serving(mirror_of(sample, pause=0.004)) as mirror:
            process = start(store, sample, sources=sources(mirror), jobs=1)
            mirror.on_piece = lambda sent: process.kill() if sent > 7 * MIB else None
            process.communicate(timeout=60)
            mirror.on_piece = lambda sent: None
            aside = [f for f in (store / ".bedplate" / "staging").rglob("model-*") if f.stat().st_size > MIB]
            assert aside
            for file in aside:
                flip(file, MIB)
            assert run(store, sample, sources=sources(mirror))["changed"]
        assert state(store, sample) == WHOLE

    def test_one_byte_flipped_in_the_cache(self, sample: Sample, store: Path, tmp_path: Path) -> None:
        cache, source = tmp_path / "cache", [{"url": f"file://{sample.root}"}]
        run(store, sample, sources=source, cache=str(cache))
        largest = max(cache.rglob("*"), key=lambda file: file.stat().st_size if file.is_file() else 0)
        flip(largest, 77)
        assert run(tmp_path / "other", sample, sources=source, cache=str(cache))["changed"]
        assert state(tmp_path / "other", sample) == WHOLE
        assert state(store, sample) == WHOLE, "cache and store share no bytes"
        _, again = largest.read_bytes(), run(tmp_path / "third", sample, sources=[], cache=str(cache))
        assert again["changed"], "the cache has mended itself"

    @pytest.mark.parametrize("says_length", [True, False])
    def test_more_bytes_than_the_manifest_says(self, sample: Sample, store: Path, says_length: bool) -> None:
        with serving(mirror_of(sample, longer=3, says_length=says_length)) as mirror:
            first = [{"url": f"file://{sample.root}/nothing"}, *sources(mirror)]
            said = run(store, sample, sources=first)
        assert said["failed"] and state(store, sample) == ABSENT

    def test_fewer_bytes_than_the_manifest_says(self, tmp_path: Path, store: Path) -> None:
        wrong = make(tmp_path / "source")
        os.truncate(wrong.folder / "tokenizer.json", MIB - 1)
        with serving(mirror_of(wrong)) as mirror:
            said = run(store, wrong, sources=sources(mirror))
        assert said["failed"] and f"has {MIB - 1} bytes" in said["msg"], said["msg"]
        assert state(store, wrong) == ABSENT

    def test_another_manifest_than_the_one_pinned(self, sample: Sample, store: Path) -> None:
        other = Sample(sample.root, sample.path, "0" * 64, 0)
        said = run(store, other, sources=[{"url": f"file://{sample.root}"}])
        assert said["failed"] and "not the 000000" in said["msg"] and not (store / sample.path).exists()

    def test_damage_on_the_host_is_found_and_mended(self, sample: Sample, store: Path) -> None:
        source = [{"url": f"file://{sample.root}"}]
        run(store, sample, sources=source)
        file = store / sample.path / "model-00001-of-00002.safetensors"
        stamp = file.stat()
        flip(file, MIB)
        os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # as a disk does it
        assert not run(store, sample, sources=source)["changed"], "sizes and stamps are as they were"
        mended = run(store, sample, sources=source, verify="full")
        assert mended["changed"] and state(store, sample) == WHOLE
        assert mended["models"][0]["from"][str(sample.root)] == 5 * MIB + 17, (
            "only the damaged file came again"
        )

    def test_a_file_that_was_edited_is_found_without_reading_it(self, sample: Sample, store: Path) -> None:
        source = [{"url": f"file://{sample.root}"}]
        run(store, sample, sources=source)
        flip(store / sample.path / "config.json")
        assert run(store, sample, sources=source)["changed"] and state(store, sample) == WHOLE


class TestFullDisk:
    def test_what_cannot_fit_is_refused_before_the_first_byte(self, sample: Sample, tmp_path: Path) -> None:
        with small_disk(tmp_path / "disk", 8 * MIB) as store, serving(mirror_of(sample)) as mirror:
            said = run(store, sample, sources=sources(mirror))
            assert said["failed"] and "have to come" in said["msg"] and "are free" in said["msg"]
            assert [path for path, _ in mirror.asked if not path.endswith("manifest.json")] == []

    def test_a_disk_that_fills_up_on_the_way(self, sample: Sample, tmp_path: Path) -> None:
        with small_disk(tmp_path / "disk", 16 * MIB) as store, serving(mirror_of(sample)) as mirror:
            hog = store / "somebody-else"

            def fill(sent: int) -> None:
                if sent > 2 * MIB and not hog.exists():
                    hog.write_bytes(bytes(8 * MIB))

            mirror.on_piece = fill
            said = run(store, sample, sources=sources(mirror), jobs=1)
            assert said["failed"] and "No space left" in said["msg"], said
            visible = state(store, sample)
            assert visible == ABSENT and parts(store) > MIB
            mirror.on_piece = lambda sent: None
            hog.unlink()
            mirror.sent = 0
            assert run(store, sample, sources=sources(mirror))["changed"]
            assert state(store, sample) == WHOLE and mirror.sent < sample.size
        _record("full", "Visible models that are not whole after the disk was full", int(visible != ABSENT))

    def test_a_full_cache_is_no_reason_to_fail(self, sample: Sample, store: Path, tmp_path: Path) -> None:
        with small_disk(tmp_path / "disk", 4 * MIB) as cache:
            said = run(store, sample, sources=[{"url": f"file://{sample.root}"}], cache=str(cache))
            assert said["changed"] and "did not take everything" in said["notes"][0]
        assert state(store, sample) == WHOLE


class TestPrune:
    @pytest.fixture
    def two(self, tmp_path: Path, store: Path) -> tuple[Sample, Sample]:
        """Two models, of which the first is there."""
        root = tmp_path / "source"
        old = make(root, "acme/old/1", {"a.bin": 3 * MIB}, seed=2)
        new = make(root, "acme/new/1", {"a.bin": 3 * MIB}, seed=3)
        run(store, old, sources=[{"url": f"file://{root}"}])
        return old, new

    def test_never_is_the_default(self, two: tuple[Sample, Sample], store: Path) -> None:
        old, new = two
        run(store, new, sources=[{"url": f"file://{new.root}"}])
        assert (state(store, old), state(store, new)) == (WHOLE, WHOLE)

    def test_always(self, two: tuple[Sample, Sample], store: Path) -> None:
        old, new = two
        said = run(store, new, sources=[{"url": f"file://{new.root}"}], prune="always")
        assert f"remove {old.path}" in said["plan"][0]
        assert not (store / "acme/old").exists() and state(store, new) == WHOLE

    @pytest.mark.parametrize("how", ["open", "mapped", "folder", "mounted"])
    def test_what_a_process_has_open_stays(self, two: tuple[Sample, Sample], store: Path, how: str) -> None:
        old, new = two
        program = {
            "open": "f = open('a.bin', 'rb'); os.chdir('/')",
            "mapped": "f = os.open('a.bin', 0); c.mmap(None, 4096, 1, 1, f, 0); os.close(f); os.chdir('/')",
            "folder": "",
            # As a volume in a pod: nothing of it is open, and only its own world has it mounted.
            "mounted": "assert c.unshare(0x20000) == c.mount(b'', b'/', None, 0x44000, None) == 0;"
            " assert c.mount(b'.', b'/mnt', None, 0x1000, None) == 0; os.chdir('/')",
        }[how]
        begin = "import ctypes, os, time; c = ctypes.CDLL(None); c.mmap.restype = ctypes.c_void_p\n"
        program = f"{begin}{program}\nprint(flush=True); time.sleep(60)"
        with subprocess.Popen(
            ["python3", "-c", program], cwd=store / old.path, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout and process.stdout.readline()
            try:
                said = run(store, new, sources=[{"url": f"file://{new.root}"}], prune="always")
                assert state(store, old) == WHOLE and f"({process.pid})" in said["notes"][0]
                changed = make(old.root, old.path, {"a.bin": MIB}, seed=9)
                said = run(store, changed, sources=[{"url": f"file://{new.root}"}])
                assert said["failed"] and f"({process.pid})" in said["msg"] and state(store, old) == WHOLE
            finally:
                process.kill()
        assert run(store, new, sources=[], prune="always")["changed"] and state(store, old) == ABSENT

    def test_space_makes_room_only_when_it_is_needed(
        self, two: tuple[Sample, Sample], tmp_path: Path
    ) -> None:
        old, new = two
        source = [{"url": f"file://{new.root}"}]
        with small_disk(tmp_path / "disk", 5 * MIB) as disk:
            run(disk, old, sources=source)
            said = run(disk, new, sources=source)
            assert said["failed"] and f"let go of {old.path}" in said["msg"] and state(disk, old) == WHOLE
            assert run(disk, new, sources=source, prune="space")["changed"]
            assert (state(disk, old), state(disk, new)) == (ABSENT, WHOLE)
        with small_disk(tmp_path / "large", 9 * MIB) as disk:
            run(disk, old, sources=source)
            run(disk, new, sources=source, prune="space")
            assert (state(disk, old), state(disk, new)) == (WHOLE, WHOLE)


def test_a_new_manifest_takes_over_what_stayed_the_same(tmp_path: Path, store: Path) -> None:
    old = make(tmp_path / "one", "acme/m", {"large.bin": 4 * MIB, "config.json": 100}, seed=4)
    new = make(tmp_path / "two", "acme/m", {"large.bin": 4 * MIB, "config.json": 120}, seed=4)
    run(store, old, sources=[{"url": f"file://{old.root}"}])
    said = run(store, new, sources=[{"url": f"file://{new.root}"}])
    assert state(store, new) == WHOLE
    assert said["models"][0]["from"] == {"already here": 4 * MIB, str(new.root): 120}


def test_something_that_is_not_ours_is_refused_by_name(sample: Sample, store: Path) -> None:
    there = store / sample.path
    there.mkdir(parents=True)
    (there / "my-thesis.txt").write_text("the only copy")
    said = run(store, sample, sources=[{"url": f"file://{sample.root}"}])
    assert (
        said["failed"] and f"{sample.path}: something lies there that this store did not make" in said["msg"]
    )
    assert (there / "my-thesis.txt").read_text() == "the only copy"


def _dies_at(step: str, store: Path, sample: Sample) -> int:
    """A run that ends without a word when it comes to ``step``; its exit code."""
    process = os.fork()
    if process == 0:
        run(store, sample, sources=[], check=True)  # the module's own modules are loaded now
        apply, places = (
            sys.modules[f"ansible.module_utils.model_store.{name}"] for name in ("apply", "places")
        )
        if step == "empty_trash":  # at the beginning and at the end: the first one is let through
            apply.empty_trash = lambda _: setattr(apply, step, lambda _: os._exit(9))
        else:
            setattr(places if step == "sync" else apply, step, lambda *_: os._exit(9))
        run(store, sample, sources=[{"url": f"file://{sample.root}"}])
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _kill_after(process: subprocess.Popen[str], point: int, sent: int) -> None:
    if sent >= point:
        process.send_signal(signal.SIGKILL)


def _record(name: str, claim: str, value: int) -> None:
    evidence.record(
        "lab", f"hosts.model_store.{name}", claim, value, goal="== 0", proved_on="program", command=COMMAND
    )
