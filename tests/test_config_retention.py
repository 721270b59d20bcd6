"""RETENTION_*, DATABASE_DISK_BYTES: days, years or for ever, within bounds that fit together."""

import pytest

from maild import config
from maild.domain.retention import DAYS_MIN, Subject
from maild.errors import ConfigError


def load(**environ):
    return config.load(environ)


def problems(**environ):
    with pytest.raises(ConfigError) as caught:
        load(**environ)
    return {error.field: error.message for error in caught.value.errors}


def test_what_is_not_set_is_as_documented():
    found = load().retention
    assert (found.bodies_days, found.messages_days) == (30, 90)
    assert (found.webhooks_days, found.audit_days) == (30, 400)
    assert load().database_disk_bytes is None


@pytest.mark.parametrize(("text", "days"), [("7d", 7), ("2y", 730), ("10y", 3_650), ("none", None)])
def test_it_reads_days_and_years(text, days):
    found = load(RETENTION_MESSAGES=text, RETENTION_BODIES="1d", RETENTION_WEBHOOKS="1d")
    assert found.retention.messages_days == days


@pytest.mark.parametrize("text", ["0d", "6d", "30", "11y", "3651d", "-1d", "2w", "x"])
def test_it_refuses_what_is_out_of_bounds(text):
    assert "must be 7d to 3650d" in problems(RETENTION_MESSAGES=text)["RETENTION_MESSAGES"]


def test_content_is_not_kept_longer_than_its_message():
    found = problems(RETENTION_BODIES="91d", RETENTION_WEBHOOKS="none")
    assert found.keys() == {"RETENTION_BODIES", "RETENTION_WEBHOOKS"}
    assert load(RETENTION_BODIES="none", RETENTION_MESSAGES="none").retention.bodies_days is None


def test_the_bounds_are_those_of_workspaces():
    for name, subject in (
        ("RETENTION_BODIES", Subject.BODIES),
        ("RETENTION_WEBHOOKS", Subject.WEBHOOKS),
        ("RETENTION_AUDIT", Subject.AUDIT),
    ):
        assert load(**{name: f"{DAYS_MIN[subject]}d"})
        assert name in problems(**{name: f"{DAYS_MIN[subject] - 1}d"})


@pytest.mark.parametrize(
    ("text", "size"), [("500M", 500 * 2**20), ("200G", 200 * 2**30), ("2T", 2 * 2**40)]
)
def test_it_reads_a_size(text, size):
    assert load(DATABASE_DISK_BYTES=text).database_disk_bytes == size


@pytest.mark.parametrize("text", ["0G", "200", "1.5T", "G"])
def test_it_refuses_no_size(text):
    assert "must be a size such as" in problems(DATABASE_DISK_BYTES=text)["DATABASE_DISK_BYTES"]
