"""Fixtures of the integration tests that several files share."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.gateway_upstream import Upstream, upstream

if TYPE_CHECKING:
    from tests.integration.milvus_server import Milvus


@pytest.fixture(scope="session")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Milvus"]:
    """A real Milvus with our users; it takes a minute to start."""
    from tests.integration.milvus_server import running

    with running(tmp_path_factory.mktemp("milvus")) as found:
        yield found


@pytest.fixture(scope="module")
def behind() -> Iterator[Upstream]:
    """A server behind the gateway, which remembers what it sees."""
    with upstream() as made:
        yield made
