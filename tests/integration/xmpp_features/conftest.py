"""A lab of two nodes with alice at home on imp1 and bob on imp2, and slixmpp clients of both."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.xmpp_features.verona import Verona


@pytest.fixture
async def verona(tmp_path: Path) -> AsyncIterator[Verona]:
    async with Verona.start(tmp_path / "lab") as verona:
        yield verona
