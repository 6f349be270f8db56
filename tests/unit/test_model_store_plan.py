"""The planner of role model_store from tables: what is wished and what is there, and what is done about
it."""

from dataclasses import replace

import pytest
from model_store.model import FileEntry, Host, Installed, Manifest, Model, Policy
from model_store.plan import Discard, Fetch, Remove, human, plan

GIB = 2**30
A, B, C, OLD = (letter * 64 for letter in "abc0")
FILES = (FileEntry("w.bin", 9 * GIB, "1" * 64), FileEntry("c.json", 1 * GIB, "2" * 64))
ONE = Model("acme/one/1", A)
TWO = Model("acme/two/1", B)
MANIFESTS = {A: Manifest(A, FILES), B: Manifest(B, (FileEntry("x.bin", 5 * GIB, "3" * 64),))}
EMPTY = Host(free=100 * GIB, manifests=MANIFESTS)
THERE = Installed("acme/one/1", A, 10 * GIB, 50.0, files=FILES)
UNWISHED = Installed("acme/old/1", OLD, 20 * GIB, 10.0)
NEWER = Installed("acme/newer/1", C, 30 * GIB, 20.0)


def there(*installed: Installed, free: int = 100, **more: object) -> Host:
    return replace(EMPTY, installed=installed, free=free * GIB, **more)


ACTIONS = {
    "nothing is wished": ([], Policy(), EMPTY, []),
    "an empty store gets everything": ([ONE, TWO], Policy(), EMPTY, [(Fetch, 10), (Fetch, 5)]),
    "what is there stays": ([ONE], Policy(), there(THERE), []),
    "what is there needs no manifest": ([ONE], Policy(), there(THERE, manifests={}), []),
    "what was begun counts": ([ONE], Policy(), there(staged={A: 4 * GIB}), [(Fetch, 6)]),
    "more begun than there is": ([ONE], Policy(), there(staged={A: 40 * GIB}), [(Fetch, 0)]),
    "begun and no longer wished": ([ONE], Policy(), there(THERE, staged={B: 3 * GIB}), [(Discard, 3)]),
    "a damaged file comes again": (
        [ONE],
        Policy(),
        there(replace(THERE, faults=("c.json is missing",), files=FILES[:1])),
        [(Fetch, 1)],
    ),
    "damage is mended although it is in use": (
        [ONE],
        Policy(),
        there(replace(THERE, faults=("c.json is missing",), files=FILES[:1], users=("vllm (7)",))),
        [(Fetch, 1)],
    ),
    "another manifest replaces": (
        [ONE],
        Policy(),
        there(replace(THERE, digest=OLD, files=FILES[:1])),
        [(Fetch, 1)],
    ),
    "never prunes": ([ONE], Policy(), there(THERE, UNWISHED), []),
    "always prunes, the oldest first": (
        [ONE],
        Policy("always"),
        there(NEWER, THERE, UNWISHED),
        [(Remove, 20), (Remove, 30)],
    ),
    "always keeps what is listed": (
        [ONE],
        Policy("always", frozenset({"acme/old/1"})),
        there(THERE, UNWISHED),
        [],
    ),
    "always keeps what is in use": ([], Policy("always"), there(replace(UNWISHED, users=("vllm (7)",))), []),
    "space prunes nothing while there is room": ([ONE], Policy("space"), there(UNWISHED), [(Fetch, 10)]),
    "space prunes as much as is needed": (
        [ONE],
        Policy("space", floor=5 * GIB),
        there(UNWISHED, NEWER, free=3),
        [(Remove, 20), (Fetch, 10)],
    ),
    "space prunes more where one is not enough": (
        [ONE],
        Policy("space", floor=20 * GIB),
        there(UNWISHED, NEWER, free=3),
        [(Remove, 20), (Remove, 30), (Fetch, 10)],
    ),
    "space passes over what is in use": (
        [ONE],
        Policy("space"),
        there(replace(UNWISHED, users=("vllm (7)",)), NEWER, free=3),
        [(Remove, 30), (Fetch, 10)],
    ),
    "what is discarded makes room": (
        [ONE],
        Policy(),
        there(free=8, staged={B: 2 * GIB}),
        [(Discard, 2), (Fetch, 10)],
    ),
    "a floor that is broken already stops nothing that is done": (
        [ONE],
        Policy(floor=GIB),
        there(THERE, free=0),
        [],
    ),
}

REFUSALS = {
    "twice": ([ONE, ONE], Policy(), EMPTY, "acme/one/1: it is wished more than once"),
    "one inside the other": (
        [ONE, Model("acme/one/1/lora", B)],
        Policy(),
        EMPTY,
        "acme/one/1/lora: it lies inside model acme/one/1",
    ),
    "inside one that is there": (
        [Model("acme/one/1/lora", B)],
        Policy(),
        there(THERE),
        "model acme/one/1 is there, and one would lie inside the other",
    ),
    "a stranger in the way": ([ONE], Policy(), there(strangers=frozenset({ONE.path})), "did not make"),
    "no manifest": (
        [ONE],
        Policy(),
        there(manifests={}, unreachable={A: "mirror answers 404"}),
        "acme/one/1: mirror answers 404",
    ),
    "in use and another manifest": (
        [ONE],
        Policy("always"),
        there(replace(THERE, digest=OLD, users=("vllm (7)",))),
        "another manifest is wished, and vllm (7) has the present one open",
    ),
    "no room": (
        [ONE],
        Policy(),
        there(free=9),
        "10.0 GiB have to come and 0 B have to stay free, but 9.0 GiB are free",
    ),
    "no room because of the floor": ([ONE], Policy(floor=GIB), there(free=10), "1.0 GiB have to stay free"),
    "no room, and what would help": (
        [ONE],
        Policy(),
        there(UNWISHED, free=9),
        "Set model_store_prune to space to let go of acme/old/1 (20.0 GiB)",
    ),
    "no room, and who is in the way": (
        [ONE],
        Policy("space"),
        there(replace(UNWISHED, users=("vllm (7)",)), free=9),
        "Stop what uses acme/old/1 (open in vllm (7))",
    ),
    "no room although all is pruned": (
        [ONE],
        Policy("always"),
        there(UNWISHED, free=-15),
        "Wish fewer models",
    ),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_what_is_done(name: str) -> None:
    models, policy, host, expected = ACTIONS[name]
    made = plan(models, policy, host)
    assert made.refusals == ()
    sizes = [(type(a), (a.missing if isinstance(a, Fetch) else a.size) // GIB) for a in made.actions]
    assert sizes == expected
    assert len(made.lines) == len(expected)


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_refused(name: str) -> None:
    models, policy, host, words = REFUSALS[name]
    made = plan(models, policy, host)
    assert made.actions == ()
    assert words in "\n".join(map(str, made.refusals))


def test_what_stays_because_it_is_in_use_is_said() -> None:
    made = plan([], Policy("always"), there(replace(UNWISHED, users=("vllm (7)",))))
    assert made.notes == ("acme/old/1 is not wished, and stays: vllm (7) has it open",)


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536 * 2**30, "1.5 TiB")]
)
def test_sizes_for_people(size: int, words: str) -> None:
    assert human(size) == words
