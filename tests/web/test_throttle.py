"""How often somebody may try."""

import pytest

from maild.models import MessageBody, Session
from maild.web import throttle
from tests.conftest import PASSWORD

pytestmark = pytest.mark.usefixtures("throttled")


@pytest.fixture
def throttled(app):
    """Count, from nothing."""
    throttle.limiter.enabled = True
    throttle.limiter.reset()
    yield
    throttle.limiter.reset()
    throttle.limiter.enabled = False


@pytest.fixture
def log_in(anonymous, post):
    def send(email="ann@a.example", password="wrong", ip="198.51.100.7"):
        anonymous.environ_base["REMOTE_ADDR"] = ip
        return post(anonymous, "/login", workspace_id=None, email=email, password=password)

    return send


@pytest.mark.proves("security-passwords")
def test_an_account_is_closed_after_ten_wrong_passwords_from_anywhere(log_in, admin_a):
    for number in range(10):
        assert log_in(ip=f"198.51.100.{number}").status_code == 422
    response = log_in(password=PASSWORD, ip="198.51.100.200", email=" ANN@a.example")
    assert response.status_code == 429
    assert 0 < int(response.headers["Retry-After"]) <= 901  # the window ends within the second
    assert "Try again in" in response.text
    assert Session.select().count() == 0


def test_another_account_stays_open(log_in, admin_a, admin_b):
    for number in range(11):
        log_in(ip=f"198.51.100.{number}")
    assert log_in(email="bob@b.example", password=PASSWORD).status_code == 303


@pytest.mark.proves("security-passwords")
def test_an_address_is_closed_after_fifty_wrong_passwords_for_anybody(log_in, admin_a):
    for number in range(50):
        assert log_in(email=f"nobody{number}@a.example").status_code == 422
    assert log_in(password=PASSWORD).status_code == 429
    assert log_in(password=PASSWORD, ip="203.0.113.9").status_code == 303


def test_an_ipv6_household_is_one_address(log_in, admin_a):
    for number in range(50):
        log_in(email=f"nobody{number}@a.example", ip=f"2001:db8:1:2::{number:x}")
    assert log_in(password=PASSWORD, ip="2001:db8:1:2:ffff::1").status_code == 429
    assert log_in(password=PASSWORD, ip="2001:db8:1:3::1").status_code == 303


def test_right_passwords_do_not_count(log_in, admin_a, anonymous, post):
    for _ in range(15):
        assert log_in(password=PASSWORD).status_code == 303
        post(anonymous, "/logout")


def test_an_address_that_a_caller_writes_itself_counts_for_nothing(anonymous, post, admin_a):
    for number in range(51):
        anonymous.environ_base["HTTP_X_FORWARDED_FOR"] = f"203.0.113.{number}"
        last = post(
            anonymous, "/login", workspace_id=None, email=f"n{number}@a.example", password="x"
        )
    assert last.status_code == 429


def test_a_mailbox_is_not_flooded_with_links(anonymous, post, admin_a):
    statuses = []
    for number in range(7):
        anonymous.environ_base["REMOTE_ADDR"] = f"198.51.100.{number}"
        with post(anonymous, "/reset", workspace_id=None, email="ann@a.example") as response:
            statuses.append(response.status_code)
    assert statuses == [200] * 5 + [429] * 2
    assert MessageBody.select().count() == 5


def test_an_open_browser_is_no_place_to_guess_a_password(client, post):
    for _ in range(10):
        response = post(client, "/ui/settings/security/password", current="x", new="y")
        assert response.status_code == 422
    response = post(client, "/ui/settings/security/second-factor/off", password=PASSWORD)
    assert response.status_code == 429


def test_reading_is_not_counted(anonymous):
    for path in ("/login", "/signup", "/reset"):
        for _ in range(60):
            assert anonymous.get(path).status_code == 200


def test_it_goes_on_counting_while_redis_is_away(log_in, admin_a, monkeypatch):
    def fail(*args, **kwargs):
        raise ConnectionError

    for name in ("acquire_entry", "get_moving_window"):
        monkeypatch.setattr(throttle.limiter._storage, name, fail)
    monkeypatch.setattr(throttle.limiter._storage, "check", lambda: False)
    statuses = [log_in().status_code for _ in range(12)]
    assert statuses[0] == 422
    assert statuses[-1] == 429
    throttle.limiter._storage_dead = False
