"""Fixtures of the integration tests that several files share."""

from collections.abc import Iterator

import pytest

from tests.gateway_upstream import Upstream, upstream


@pytest.fixture(scope="module")
def behind() -> Iterator[Upstream]:
    """A server behind the gateway, which remembers what it sees."""
    with upstream() as made:
        yield made
