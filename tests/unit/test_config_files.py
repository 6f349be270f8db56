"""Module config_files: the planner from tables of cases, and the module itself as Ansible runs it."""

import getpass
import grp
import os
from pathlib import Path

import pytest
from config_files import Write, plan, refusals, replace_block
from hypothesis import given
from hypothesis import strategies as st

from tests.ansible_module import Module

ROOT = {"mode": "0644", "owner": "root", "group": "root"}
BLOCK = "# BEGIN ours\n{}\n# END ours\n"


def there(content: str, **other: str) -> dict[str, str]:
    return {"content": content, **ROOT, **other}


def want(**file: str | None) -> dict[str, str | None]:
    return {"path": "/etc/x", **file}


@pytest.mark.parametrize(
    ("desired", "observed", "written"),
    [
        pytest.param(want(content="a\n"), there("a\n"), None, id="as it should be"),
        pytest.param(want(content="a\n"), None, ("a\n", "0644", "root"), id="not there"),
        pytest.param(want(content="b\n"), there("a\n"), ("b\n", "0644", "root"), id="other content"),
        pytest.param(want(content=""), there(""), None, id="an empty file stays"),
        pytest.param(want(content=""), None, ("", "0644", "root"), id="an empty file is wanted"),
        pytest.param(
            want(content="a\n", mode="0600"), there("a\n"), ("a\n", "0600", "root"), id="mode alone"
        ),
        pytest.param(
            want(content="a\n", mode="644"), there("a\n"), None, id="three digits are the same mode"
        ),
        pytest.param(
            want(content="a\n"), there("a\n", mode="0600"), ("a\n", "0644", "root"), id="mode too tight"
        ),
        pytest.param(
            want(content="a\n"), there("a\n", owner="eve"), ("a\n", "0644", "root"), id="owner alone"
        ),
        pytest.param(
            want(content="a\n", owner="ada"), there("a\n", owner="ada"), None, id="another owner wanted"
        ),
        pytest.param(want(content=None), None, None, id="gone already"),
        pytest.param(want(content=None), there("a\n"), (None, "0644", "root"), id="to be removed"),
        pytest.param(
            want(content="b", block="ours"),
            there("a\n"),
            ("a\n" + BLOCK.format("b"), "0644", "root"),
            id="block new",
        ),
        pytest.param(
            want(content="b\n\n", block="ours"), there("a\n" + BLOCK.format("b")), None, id="block as it is"
        ),
        pytest.param(
            want(content="c", block="ours"),
            there(BLOCK.format("b") + "z\n", mode="0600"),
            (BLOCK.format("c") + "z\n", "0600", "root"),
            id="block changes, the file's mode stays",
        ),
        pytest.param(
            want(content="", block="ours"),
            there("a\n" + BLOCK.format("b") + "z"),
            ("a\nz", "0644", "root"),
            id="block to be removed",
        ),
        pytest.param(want(content="", block="ours"), there("a\n"), None, id="block gone already"),
        pytest.param(want(content="", block="ours"), None, None, id="no block and no file"),
        pytest.param(want(content=None, block="ours"), None, None, id="no block wanted and no file"),
        pytest.param(
            want(content="b", block="ours"),
            None,
            (BLOCK.format("b"), "0644", "root"),
            id="block makes the file",
        ),
    ],
)
def test_what_is_written(desired, observed, written):
    result = [(w.after, w.mode, w.owner) for w in plan([desired], {"/etc/x": observed})]
    assert result == ([written] if written else [])


def test_order_is_kept_and_only_what_differs_is_written():
    desired = [{"path": f"/etc/{name}", "content": name} for name in "cab"]
    observed = {"/etc/c": None, "/etc/a": there("a"), "/etc/b": there("old")}
    assert plan(desired, observed) == [
        Write("/etc/c", None, "c", "0644", "root", "root"),
        Write("/etc/b", "old", "b", "0644", "root", "root"),
    ]


def test_two_blocks_of_one_file_are_one_write_with_both():
    desired = [want(content=text, block=text, validate="judge %s") for text in ("one", "two")]
    (write,) = plan(desired, {"/etc/x": there("mine\n")})
    assert write.after == "mine\n# BEGIN one\none\n# END one\n# BEGIN two\ntwo\n# END two\n"
    assert write.validate == ("judge %s",)


def test_what_is_removed_is_not_validated():
    (write,) = plan([want(content=None, validate="judge %s")], {"/etc/x": there("a")})
    assert write.validate == ()


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ({"path": "etc/x"}, "not absolute"),
        ({"path": "/etc/x", "mode": "u=rw"}, "0644"),
        ({"path": "/etc/x", "mode": "0689"}, "not octal"),
        ({"path": "/etc/x", "validate": "visudo -c"}, "no %s"),
    ],
)
def test_what_cannot_be_meant_is_refused(file, why):
    (refusal,) = refusals([{"content": "", **file}])
    assert refusal.startswith(file["path"]) and why in refusal


def test_a_file_has_one_content_but_may_have_several_blocks():
    assert "twice" in refusals([want(content="a"), want(content="b")])[0]
    assert refusals([want(content="a", block="one"), want(content="b", block="two")]) == []


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("a", "a\n" + BLOCK.format("new")),
        (BLOCK.format("old"), BLOCK.format("new")),
        (BLOCK.format("old").rstrip("\n"), BLOCK.format("new")),
        ("# BEGIN ours\n# END ours\n", BLOCK.format("new")),
        (BLOCK.format("one") + "mine\n" + BLOCK.format("two"), BLOCK.format("new") + "mine\n"),
        (
            "# BEGIN ours too\nx\n# END ours too\n",
            "# BEGIN ours too\nx\n# END ours too\n" + BLOCK.format("new"),
        ),
        ("# BEGIN ours\nmine\n", "# BEGIN ours\nmine\n" + BLOCK.format("new")),
        ("# BEGIN ours\nmine\n" + BLOCK.format("old"), "# BEGIN ours\nmine\n" + BLOCK.format("new")),
    ],
    ids=[
        "none",
        "one",
        "no newline",
        "empty",
        "two become one",
        "name that begins alike",
        "end lost",
        "end lost once",
    ],
)
def test_block_takes_its_own_place_and_no_other(text, after):
    assert replace_block(text, "ours", "new") == after


LINES = st.lists(st.sampled_from(["a", "", "# BEGIN other", "# END other", "x \\1 y"]), max_size=6)


@given(before=LINES, after=LINES, first=LINES, second=LINES)
def test_nothing_outside_a_block_changes_and_a_second_time_changes_nothing(before, after, first, second):
    head, tail = "".join(f"{line}\n" for line in before), "".join(f"{line}\n" for line in after)
    text = head + BLOCK.format("was") + tail
    once = replace_block(text, "ours", "\n".join(first))
    assert once.startswith(head) and once.endswith(tail)
    assert replace_block(once, "ours", "\n".join(first)) == once
    emptied = replace_block(replace_block(once, "ours", "\n".join(second)), "ours", "")
    assert "ours" not in emptied


@pytest.fixture
def files(tmp_path):
    """The module on files below a folder of their own, as whoever runs the tests."""
    mine = {"owner": getpass.getuser(), "group": grp.getgrgid(os.getgid()).gr_name}
    module = Module("config_files")

    def run(*wanted: dict[str, str], check: bool = False):
        return module(
            {"files": [{**mine, **f, "path": str(tmp_path / f["path"])} for f in wanted]}, check=check
        )

    return run


def test_module_check_run_second_run_and_removal(files, tmp_path):
    wanted = ({"path": "deep/er/a", "content": "a\n"}, {"path": "b", "content": "ü\n", "mode": "600"})
    said = files(*wanted, check=True)
    assert said["changed"] and said["paths"] == [str(tmp_path / "deep/er/a"), str(tmp_path / "b")]
    assert list(tmp_path.iterdir()) == []
    done = files(*wanted)
    assert (done["changed"], done["paths"]) == (True, said["paths"])
    assert (tmp_path / "deep/er/a").read_text() == "a\n"
    assert (tmp_path / "b").stat().st_mode & 0o7777 == 0o600
    assert files(*wanted)["changed"] is False
    assert files({"path": "b"})["paths"] == [str(tmp_path / "b")]
    assert not (tmp_path / "b").exists()


def test_a_file_that_is_not_utf_8_keeps_its_bytes(files, tmp_path):
    (tmp_path / "hosts").write_bytes(b"10.0.0.1 caf\xe9\n")
    answer = files({"path": "hosts", "content": "new", "block": "ours"})
    assert answer["diff"][0]["before"].encode() == "10.0.0.1 caf\ufffd\n".encode(), "Ansible takes UTF-8 only"
    assert (tmp_path / "hosts").read_bytes() == b"10.0.0.1 caf\xe9\n" + BLOCK.format("new").encode()


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({"content": "bad", "validate": "grep -q good %s"}, "would not be valid, nothing was changed"),
        ({"content": "x", "owner": "nobody-of-this-name"}, "nobody-of-this-name"),
        ({"content": "x", "mode": "rw"}, "not octal"),
        ({"content": "x", "path": "folder"}, "folder: Is a directory"),
    ],
    ids=["refused by its judge", "unknown owner", "no mode", "a folder is there"],
)
def test_one_file_that_cannot_be_written_leaves_all_as_they_are(files, tmp_path, bad, why):
    (tmp_path / "folder").mkdir()
    (tmp_path / "good").write_text("old\n")
    result = files({"path": "good", "content": "new\n"}, {"path": "bad", **bad})
    assert result["failed"] and why in result["msg"]
    assert (tmp_path / "good").read_text() == "old\n"
    assert not (tmp_path / "bad").exists()


def test_in_check_mode_a_judge_that_is_not_installed_yet_is_not_asked(files, tmp_path):
    wanted = {"path": "x", "content": "x\n", "validate": "no-such-program %s"}
    assert files(wanted, check=True)["changed"] is True
    assert files(wanted)["failed"]
    assert not Path(tmp_path / "x").exists()
