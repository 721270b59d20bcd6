"""maild's own format at an endpoint: what is signed, and what is read."""

import json
from datetime import timedelta

import pytest

from maild.transports.webhooks import maild as own_format
from maild.transports.webhooks.base import BadSignature, Keys, Request, UnreadablePayload
from tests.transports.webhooks.test_registry import NOW

SECRET = "a-secret-of-24-characters"
BODY = b'{"type": "delivered", "email": "ann@example.com"}'


def request(body=BODY, *, secret=SECRET, at=NOW, **headers):
    signed = own_format.sign(body, secret=secret, timestamp=int(at.timestamp()))
    told = {name.lower(): value for name, value in signed.items()}
    return Request(body=body, headers={**told, **headers}, received_at=NOW)


def test_what_is_signed_with_a_valid_secret_is_believed():
    own_format.verify(request(), Keys(signing=("newer-secret-of-24-chars", SECRET)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "another-secret-of-24-chars"},
        {"at": NOW - timedelta(seconds=301)},
        {"x-webhook-signature": ""},
        {"x-webhook-timestamp": "1"},
    ],
)
def test_nothing_else_is(wrong):
    with pytest.raises(BadSignature):
        own_format.verify(request(**wrong), Keys(signing=(SECRET,)))


def test_a_changed_body_is_not():
    given = request()
    changed = Request(body=given.body + b" ", headers=given.headers, received_at=NOW)
    with pytest.raises(BadSignature):
        own_format.verify(changed, Keys(signing=(SECRET,)))


def test_a_secret_that_could_be_guessed_is_none():
    own_format.check_secret(SECRET)
    with pytest.raises(ValueError, match="24 characters"):
        own_format.check_secret("x" * 23)


def test_it_reads_one_entry_and_many_whoever_they_say_they_are_for():
    entry = json.loads(BODY)
    assert [event.event_type for event in own_format.parse(request())] == ["delivered"]
    many = [entry, {**entry, "type": "complained", "workspace_id": 7}]
    events = own_format.parse(request(json.dumps(many).encode()))
    assert [event.event_type for event in events] == ["delivered", "complained"]


def test_one_entry_that_cannot_be_read_spoils_the_body():
    with pytest.raises(UnreadablePayload, match="type"):
        own_format.parse(request(b'[{"email": "ann@example.com"}]'))
