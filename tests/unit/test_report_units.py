"""How figures look on the page."""

import pytest

from bedplate.report import units


@pytest.mark.parametrize(
    ("text", "expected"),
    [("3.84TB", 3_840_000_000_000), ("512GiB", 512 * 2**30), ("a lot", 0), (None, 0), ("", 0)],
)
def test_sizes_are_read_and_nonsense_is_zero(text: object, expected: int) -> None:
    assert units.parse_bytes(text) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (11_520_000_000_000, "11.52 TB"),
        (480_000_000_000, "480 GB"),
        (1_000, "1 KB"),
        (999, "999 B"),
        (0, "0 B"),
    ],
)
def test_disk_sizes_are_decimal(count: int, expected: str) -> None:
    assert units.size(count) == expected


def test_memory_is_binary() -> None:
    assert units.memory(512 * 2**30) == "512 GiB"
    assert units.memory(2 * 2**40) == "2 TiB"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (500000, "500,000"),
        (0.123456, "0.123"),
        (31.4, "31.4"),
        (123.4, "123"),
        (2.0, "2"),
        (True, "yes"),
        ("a", "a"),
    ],
)
def test_figures(value: object, expected: str) -> None:
    assert units.number(value) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(4.23, "4.2 s"), (425, "7 min 05 s"), (3720, "1 h 02 min"), (59.99, "60.0 s")]
)
def test_durations(seconds: float, expected: str) -> None:
    assert units.duration(seconds) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2026-11-23T05:30:00+00:00", "2026-11-23 05:30"),
        ("2026-11-23T06:30:00+01:00", "2026-11-23 05:30"),
        (0, "1970-01-01 00:00"),
        ("yesterday", "yesterday"),
    ],
)
def test_times_are_utc(given: object, expected: str) -> None:
    assert units.moment(given) == expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [("h100-sxm5-80gb", "H100 SXM5 80 GB"), ("l4-24gb", "L4 24 GB"), ("mi300x-192gb", "MI300X 192 GB")],
)
def test_gpu_names(model: str, expected: str) -> None:
    assert units.gpu(model) == expected


@pytest.mark.parametrize(
    ("goal", "expected"),
    [("<= 5000", "≤ 5,000"), ("== 0", "0"), ("< 1.5", "< 1.5"), (">= 5", "≥ 5"), ("", ""), ("soon", "soon")],
)
def test_goals(goal: str, expected: str) -> None:
    assert units.goal(goal) == expected


@pytest.mark.parametrize(("amount", "expected"), [(0, "0 hosts"), (1, "1 host"), (1000, "1,000 hosts")])
def test_counts(amount: int, expected: str) -> None:
    assert units.count(amount, "host") == expected
