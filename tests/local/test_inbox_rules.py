"""The inbox's orders, as a table."""

import pytest

from maild.local.inbox_rules import (
    ACCEPT,
    MAX_DELAY_SECONDS,
    RULES,
    Drop,
    Order,
    explained,
    order_for,
    refuses_login,
)

AFTER, BEFORE = Order(drop=Drop.AFTER_DOT, reports=()), Order(drop=Drop.BEFORE_DOT)


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("tempfail@example.com", "451 4.3.0"),
        ("TempFail@example.com", "451 4.3.0"),
        ("tempfail+7@example.com", "451 4.3.0"),
        ("tempfail-seven@example.com", "451 4.3.0"),
        ("tempfail7@example.com", "451 4.3.0"),
        ("permfail@example.com", "550 5.1.1"),
        ("throttle@example.com", "450 4.7.1"),
        ("greylist@example.com", "451 4.7.1"),
        ("busy-421@example.com", "421 4.3.2"),
        ("busy-421+x@example.com", "421 4.3.2"),
        ("authfail@example.com", "530 5.7.0"),
        ("unverified+1@example.com", "550 5.7.1"),
    ],
)
def test_it_refuses_with_a_code(address, code):
    assert order_for(address).reply.startswith(code)


@pytest.mark.parametrize(
    ("address", "order"),
    [
        ("ann@example.com", ACCEPT),
        ("tempfailing@example.com", ACCEPT),
        ("not-tempfail@example.com", ACCEPT),
        ("ann@tempfail.example.com", ACCEPT),
        ("busy@example.com", ACCEPT),
        ("", ACCEPT),
        ("@", ACCEPT),
        ("slow@example.com", Order(delay_seconds=5)),
        ("slow+12@example.com", Order(delay_seconds=12)),
        ("slow+0@example.com", Order(delay_seconds=0)),
        ("slow+999999999@example.com", Order(delay_seconds=MAX_DELAY_SECONDS)),
        ("slowly@example.com", ACCEPT),
        ("drop-before-dot@example.com", BEFORE),
        ("drop-after-dot+1@example.com", AFTER),
    ],
)
def test_it_gives_the_order(address, order):
    assert order_for(address) == order


def test_only_some_orders_pass_or_end_the_connection():
    assert order_for("greylist@example.com").once
    assert order_for("busy-421@example.com").hangs_up


@pytest.mark.parametrize(
    ("username", "is_refused"),
    [("authfail", True), ("authfail+1", True), ("AUTHFAIL@example.com", True), ("ann", False)],
)
def test_it_refuses_one_login(username, is_refused):
    assert refuses_login(username) is is_refused


@pytest.mark.parametrize(
    ("username", "order"),
    [
        ("unverified", order_for("unverified@example.com")),
        ("UNVERIFIED-frankfurt", order_for("unverified@example.com")),
        ("tempfail", ACCEPT),
        ("ann", ACCEPT),
        ("", ACCEPT),
    ],
)
def test_one_login_has_every_recipient_refused(username, order):
    assert order_for("ann@example.com", username=username) == order


def test_every_rule_is_explained():
    assert [address for address, _ in explained()] == [f"{name}@example.com" for name in RULES]
    assert all(meaning for _, meaning in explained())


@pytest.mark.parametrize(
    ("address", "types"),
    [
        ("ann@example.com", ["delivered"]),
        ("slow+0@example.com", ["delivered"]),
        ("bounce@example.com", ["hard_bounced"]),
        ("bounces@example.com", ["delivered"]),
        ("SoftBounce+2@example.com", ["soft_bounced"]),
        ("complain@example.com", ["delivered", "complained"]),
        ("unsubscribe@example.com", ["delivered", "unsubscribed"]),
        ("silent@example.com", []),
        ("drop-after-dot@example.com", []),
    ],
)
def test_it_says_what_the_sandbox_reports(address, types):
    assert [report.type for report in order_for(address).reports] == types
