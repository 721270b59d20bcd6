"""How often an address may fail to show who it is."""

import uuid
from ipaddress import ip_address

import pytest

from maild.errors import TooManyRequests
from maild.services import failed_tries
from maild.services.failed_tries import At

pytestmark = pytest.mark.usefixtures("settings")

PER_MINUTE = 3


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """So few that none is given back while a test runs."""
    monkeypatch.setattr(failed_tries, "PER_MINUTE", PER_MINUTE)


@pytest.fixture
def stranger():
    """An address of a network that no other test has used: what is counted outlives a test."""
    return ip_address(f"2001:db8:{uuid.uuid4().hex[:4]}:{uuid.uuid4().hex[:4]}::1")


def fail(address, times, at=At.API_KEY):
    for _ in range(times):
        failed_tries.count(at, address)


def fail_too_often(address):
    fail(address, PER_MINUTE)
    with pytest.raises(TooManyRequests) as caught:
        fail(address, 1)
    return caught.value


def test_one_too_many_is_told_to_wait(stranger):
    failed_tries.check(At.API_KEY, stranger, b"x")
    assert 1 <= fail_too_often(stranger).retry_after_seconds <= 60
    with pytest.raises(TooManyRequests):
        failed_tries.check(At.API_KEY, stranger, b"x")
    neighbour = ip_address(int(stranger) + 1)
    with pytest.raises(TooManyRequests):
        failed_tries.check(At.API_KEY, neighbour, b"x")
    failed_tries.check(At.WEBHOOK, stranger, b"x")
    failed_tries.check(At.API_KEY, ip_address(int(stranger) + (1 << 64)), b"x")


def test_whoever_has_shown_who_they_are_is_let_through(stranger):
    failed_tries.remember(b"good")
    fail_too_often(stranger)
    failed_tries.check(At.API_KEY, stranger, b"good")
    with pytest.raises(TooManyRequests):
        failed_tries.check(At.API_KEY, stranger, b"bad")


@pytest.mark.parametrize("address", [None, ip_address("127.0.0.1"), ip_address("::1")])
def test_this_machine_is_not_counted(address):
    fail(address, PER_MINUTE + 1, At.LINK)
    failed_tries.check(At.LINK, address, b"x")


def test_those_who_came_last_are_remembered(monkeypatch, stranger):
    monkeypatch.setattr(failed_tries, "_familiar", type(failed_tries._familiar)())
    monkeypatch.setattr(failed_tries, "FAMILIAR_MAX", 2)
    for proof in (b"a", b"b", b"a", b"c"):
        failed_tries.remember(proof)
    fail_too_often(stranger)
    for proof in (b"a", b"c"):
        failed_tries.check(At.API_KEY, stranger, proof)
    with pytest.raises(TooManyRequests):
        failed_tries.check(At.API_KEY, stranger, b"b")
