"""Every operator is held to its definition on each backend of this machine."""

from collections.abc import Iterator

import pytest

from ops.backend import use_backend


@pytest.fixture(params=['reference', 'torch', 'cpu'])
def on_each_backend(request: pytest.FixtureRequest) -> Iterator[None]:
    """Runs a test once per backend; where a backend declines a call, the reference answers."""
    with use_backend(request.param):
        yield
