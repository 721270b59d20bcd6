"""The examples of the reference and a little beside them, against the product as it runs."""

import pytest

from tests.fuzz import passes, server


@pytest.mark.fuzz
def test_nothing_is_wrong_with_any_operation():
    with server.running() as running:
        report = passes.run(running.url, server.short(running), seed=1)
    assert report.is_good, "\n".join(report.lines())
