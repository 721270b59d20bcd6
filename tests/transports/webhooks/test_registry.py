"""What is true of every provider's module: its face, and that no request at all can break it."""

import contextlib
import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maild.domain.provider_event import ProviderEvent
from maild.transports import webhooks
from maild.transports.webhooks.base import BadSignature, Keys, Request, UnreadablePayload

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
FORM = "application/x-www-form-urlencoded"
TYPES = ["application/json", FORM, "multipart/form-data; boundary=x", "text/plain", ""]
# Modules in the folder that are no provider's.
SHARED = {"__init__", "base", "fields", "generic", "public_keys", "sns"}
providers = pytest.mark.parametrize("name", sorted(webhooks.PROVIDERS))

SAMPLES = {
    "maild": [
        {
            "type": "bounced",
            "email": "ann@example.com",
            "message_id": "m",
            "event_id": "e",
            "timestamp": 1795860000,
            "bounce_type": "hard",
            "reason": "550 no",
            "metadata": {"a": 1},
        }
    ],
    "brevo": {
        "event": "click",
        "email": "ann@example.com",
        "message-id": "<1@relay.example>",
        "ts_epoch": 1795860000500,
        "ts_event": 1795860000,
        "reason": "550 no",
        "tags": ["a"],
        "tag": '["a"]',
        "X-Mailin-custom": "{}",
        "link": "https://example.com",
        "user_agent": "B/1",
    },
    "mailersend": {
        "type": "activity.hard_bounced",
        "created_at": "2026-11-28T10:00:00Z",
        "data": {
            "id": "a",
            "type": "hard_bounced",
            "message_id": "m",
            "recipient": "ann@example.com",
            "email": {"message": {"id": "m"}, "recipient": {"email": "a@x.example"}, "tags": ["a"]},
            "morph": {"reason": "no", "url": "https://example.com"},
            "meta": [],
        },
    },
    "mailjet": {
        "event": "bounce",
        "time": 1795860000,
        "MessageID": 1,
        "email": "ann@example.com",
        "hard_bounce": True,
        "error_related_to": "recipient",
        "error": "user unknown",
        "Payload": "{}",
        "CustomID": "c",
        "customcampaign": "c",
        "comment": "c",
    },
    "mailtrap": {
        "events": [
            {
                "event": "bounce",
                "timestamp": 1795860000,
                "email": "ann@example.com",
                "bounce_category": "spam",
                "response": "550",
                "custom_variables": {},
                "category": "c",
            }
        ]
    },
    "mandrill": [
        {
            "event": "reject",
            "type": "blacklist",
            "ts": 1795860000,
            "reject": {"reason": "spam", "email": "ann@example.com"},
            "msg": {
                "_id": "m",
                "email": "ann@example.com",
                "tags": ["a"],
                "metadata": {"a": 1},
                "diag": "550",
                "reject": {"reason": "spam"},
                "smtp_events": [{"diag": "250"}],
            },
        }
    ],
    "resend": {
        "type": "email.bounced",
        "created_at": "2026-11-28T10:00:00Z",
        "data": {
            "email_id": "m",
            "to": ["ann@example.com", "bob@example.com"],
            "tags": [{"name": "a", "value": "b"}],
            "headers": [{"name": "Message-ID", "value": "<m@x>"}],
            "bounce": {"type": "Permanent", "subType": "General", "diagnosticCode": ["550"]},
            "click": {"link": "https://example.com", "userAgent": "B/1"},
        },
    },
    "unisender_go": {
        "events_by_user": [
            {
                "events": [
                    {
                        "event_name": "transactional_email_status",
                        "event_data": {
                            "job_id": "m",
                            "email": "ann@example.com",
                            "status": "hard_bounced",
                            "event_time": "2026-11-28 10:00:00",
                            "metadata": {},
                            "delivery_info": {"delivery_status": "err_lost"},
                        },
                    }
                ]
            }
        ]
    },
}
JUNK = [
    None,
    True,
    0,
    -1.5,
    10**400,
    "",
    "x",
    "\x00\ud800",
    [],
    [None],
    [[]],
    {},
    {"a": []},
    "[" * 9,
]
PARSED_TEXTS = [
    "recipient",
    "event_id",
    "message_id",
    "message_id_header",
    "mta_response",
    "description",
    "click_url",
    "user_agent",
]


def request_of(name, payload):
    text = json.dumps(payload)
    if name == "mandrill":
        body, content_type = urlencode({"mandrill_events": text}), FORM
    else:
        body, content_type = text, "application/json"
    return Request(body=body.encode(), content_type=content_type, received_at=NOW)


def check(events):
    for event in events:
        assert isinstance(event, ProviderEvent)
        for name in PARSED_TEXTS:
            value = getattr(event, name)
            assert value is None or (isinstance(value, str) and value)
        assert event.timestamp is None or event.timestamp.tzinfo is not None
        assert event.is_hard in (None, True, False)
        assert all(isinstance(tag, str) for tag in event.tags)
        assert isinstance(event.metadata, dict)


def paths(value, path=()):
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from paths(value[key], (*path, key))


def replaced(value, path, junk):
    if not path:
        return junk
    changed = copy.deepcopy(value)
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = junk
    return changed


def test_every_module_of_a_provider_is_in_the_registry():
    folder = Path(webhooks.__file__).parent
    assert {file.stem for file in folder.glob("*.py")} - SHARED == set(webhooks.PROVIDERS)


def test_a_provider_is_found_by_its_name_and_no_other():
    assert webhooks.get("brevo").TITLE == "Brevo"
    with pytest.raises(KeyError):
        webhooks.get("pigeon")


@providers
def test_a_module_has_a_face(name):
    module = webhooks.get(name)
    assert module.TITLE
    # Amazon SES is known by Amazon's certificate: there is no secret to set.
    assert bool(module.SECRET_IS) == module.SIGNS or name in {"ses", "mailtrap"}
    assert all(header == header.lower() for header in module.KEPT_HEADERS)


@providers
def test_a_provider_that_signs_is_refused_without_any_secret(name):
    module = webhooks.get(name)
    request = Request(body=b"{}", content_type="application/json", received_at=NOW)
    if module.SIGNS:
        with pytest.raises(BadSignature):
            module.verify(request, Keys())
    else:
        module.verify(request, Keys())


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_field_of_any_other_type_costs_no_more_than_the_payload(name):
    module, sample = webhooks.get(name), SAMPLES[name]
    check(module.parse(request_of(name, sample)))
    for path in paths(sample):
        for junk in JUNK:
            try:
                check(module.parse(request_of(name, replaced(sample, path, junk))))
            except UnreadablePayload:
                continue


@providers
@pytest.mark.parametrize("depth", [100, 100_000])
def test_nesting_of_any_depth_is_read_or_unreadable(name, depth):
    for body in (b"[" * depth, b"[" * depth + b"]" * depth, b'{"data":' * depth):
        for content_type in TYPES:
            request = Request(body=body, content_type=content_type, received_at=NOW)
            try:
                check(webhooks.get(name).parse(request))
            except UnreadablePayload:
                continue


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=10,
)
bodies = st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode())
unhurried = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@providers
@unhurried
@given(body=bodies, content_type=st.sampled_from(TYPES))
def test_any_body_is_read_or_unreadable(name, body, content_type):
    request = Request(body=body, content_type=content_type, received_at=NOW)
    with contextlib.suppress(UnreadablePayload):
        check(webhooks.get(name).parse(request))


HEADERS = [
    "authorization",
    "signature",
    "svix-id",
    "svix-timestamp",
    "svix-signature",
    "x-webhook-timestamp",
    "x-webhook-signature",
    "x-mandrill-signature",
    "mailtrap-signature",
    "x-postal-signature",
    "x-twilio-email-event-webhook-signature",
    "x-twilio-email-event-webhook-timestamp",
]


@providers
@unhurried
@given(
    body=bodies,
    headers=st.dictionaries(st.sampled_from(HEADERS), st.text(max_size=30)),
    secret=st.text(max_size=30),
)
def test_no_request_and_no_secret_breaks_the_check(name, body, headers, secret):
    request = Request(
        body=body, content_type=FORM, headers=headers, url="https://mail.example/x", received_at=NOW
    )
    with pytest.raises(BadSignature):
        webhooks.get(name).verify(request, Keys(signing=(secret,), basic_auth=("ann:pw",)))
