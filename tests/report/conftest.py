"""A browser for the tests of pages, one for each process."""

from collections.abc import Iterator

import pytest

from tests.report import browsers


@pytest.fixture(scope="session")
def browser(tmp_path_factory) -> Iterator:
    """Chromium without a screen; pages that use it set the size and the media they need."""
    opened = browsers.open_browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.quit()
