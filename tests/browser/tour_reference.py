"""The reference of the API: whoever writes against it, without a key or an account."""

import pytest
from playwright.sync_api import expect

from tests.browser.guide import Sight, tour


def search(tab):
    tab.get_by_label("Find an operation").fill("suppressions post")
    expect(tab.get_by_role("status")).to_have_text("2 operations")
    contents = tab.get_by_role("navigation", name="Contents")
    expect(contents.get_by_role("link", name="submit message")).to_be_hidden()
    expect(contents.get_by_role("link", name="add suppression")).to_be_visible()


@pytest.fixture
def integrator(settings):
    """Somebody who looks things up."""
    return tour(None, "/v1/docs", Sight("/v1/docs/api-keys", search), "/v1/docs/suppressions")
