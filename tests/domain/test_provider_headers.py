"""The header by which each provider hands the id of a message back, and the sender's own use of
it.
"""

import email
import email.policy
import json
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maild.domain import mime
from maild.domain.provider_event import MESSAGE_ID_KEY
from maild.domain.provider_headers import PROVIDERS, headers

ID = uuid.UUID("0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b")
MARK = {"maild_message_id": str(ID)}
OWN = (("X-Campaign", "spring"), ("X-Other", "{}"))

OBJECTS = {
    "sendgrid": ("X-SMTPAPI", "unique_args"),
    "mailgun": ("X-Mailgun-Variables", None),
    "sparkpost": ("X-MSYS-API", "metadata"),
    "mandrill": ("X-MC-Metadata", None),
    "mailjet": ("X-MJ-EventPayload", None),
    "brevo": ("X-Mailin-custom", None),
    "mailtrap": ("X-MT-Custom-Variables", None),
}
PLAIN = [provider for provider, (_, inside) in OBJECTS.items() if inside is None]


def wrapped(provider: str, value: dict[str, object]) -> dict[str, object]:
    inside = OBJECTS[provider][1]
    return {inside: value} if inside else value


def merged(provider: str, text: str) -> object:
    """What the sender's header says afterwards."""
    name = OBJECTS[provider][0]
    first, (given_name, value), last = headers(provider, ID, (OWN[0], (name, text), OWN[1]))
    assert (first, given_name, last) == (OWN[0], name, OWN[1])
    return json.loads(value)


@pytest.mark.parametrize("provider", OBJECTS)
def test_each_provider_gets_its_own_header_behind_the_senders(provider: str) -> None:
    *own, (name, value) = headers(provider, ID, OWN)
    assert tuple(own) == OWN
    assert name == OBJECTS[provider][0]
    assert json.loads(value) == wrapped(provider, MARK)


def test_postmark_has_a_header_for_each_field() -> None:
    assert headers("postmark", ID, ()) == (("X-PM-Metadata-maild_message_id", str(ID)),)
    assert len(MESSAGE_ID_KEY) <= 20
    assert len(str(ID)) <= 80


@pytest.mark.parametrize(
    "provider", ["ses", "mailersend", "resend", "postal", "unisender_go", "dsn", "", "SENDGRID"]
)
def test_other_providers_get_none(provider: str) -> None:
    assert provider not in PROVIDERS
    assert headers(provider, ID, OWN) == OWN


def test_the_list_of_providers_is_complete() -> None:
    assert {*OBJECTS, "postmark"} == PROVIDERS


@pytest.mark.parametrize("provider", OBJECTS)
def test_it_joins_what_the_sender_says_in_that_header(provider: str) -> None:
    said = wrapped(provider, {"order": "4711", "größe": "ü"})
    assert merged(provider, json.dumps(said, ensure_ascii=False)) == wrapped(
        provider, {"order": "4711", "größe": "ü", **MARK}
    )


@pytest.mark.parametrize("provider", ["sendgrid", "sparkpost"])
def test_it_joins_a_header_that_says_something_else(provider: str) -> None:
    assert merged(provider, '{"category": ["a", "b"]}') == {
        "category": ["a", "b"],
        **wrapped(provider, MARK),
    }


def test_names_of_headers_have_no_case() -> None:
    [(name, value)] = headers("sendgrid", ID, [("x-smtpapi", "{}")])
    assert name == "x-smtpapi"
    assert json.loads(value) == {"unique_args": MARK}


def test_of_several_headers_the_first_is_joined() -> None:
    own = [("X-SMTPAPI", "{}"), ("X-SMTPAPI", '{"category": "a"}')]
    first, second = headers("sendgrid", ID, own)
    assert json.loads(first[1]) == {"unique_args": MARK}
    assert second == own[1]


@pytest.mark.parametrize("provider", OBJECTS)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "customer-4711",
        "a:b|c:d",
        '"text"',
        "[1, 2]",
        "null",
        "5",
        '{"a": 1',
        "{'a': 1}",
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": ' + "9" * 5_000 + "}",
        "[" * 100_000,
    ],
    ids=range(13),
)
def test_what_cannot_be_joined_stays_as_it_is(provider: str, text: str) -> None:
    own = (OWN[0], (OBJECTS[provider][0], text))
    assert headers(provider, ID, own) == own


@pytest.mark.parametrize("provider", ["sendgrid", "sparkpost"])
@pytest.mark.parametrize("inner", ['"a"', "[]", "null", "1"])
def test_an_inner_field_that_is_no_object_stays_as_it_is(provider: str, inner: str) -> None:
    name, inside = OBJECTS[provider]
    own = ((name, f'{{"{inside}": {inner}}}'),)
    assert headers(provider, ID, own) == own


@pytest.mark.parametrize("provider", OBJECTS)
def test_an_id_that_the_sender_names_stays(provider: str) -> None:
    text = json.dumps(wrapped(provider, {"maild_message_id": "mine"}), separators=(",", ":"))
    own = ((OBJECTS[provider][0], text),)
    assert headers(provider, ID, own) == own


@pytest.mark.parametrize(
    ("provider", "limit"),
    [("sendgrid", 10_000), ("sparkpost", 1_000), ("mandrill", 250), ("mailtrap", 1_000)],
)
def test_the_senders_data_comes_first_where_the_provider_takes_no_more(
    provider: str, limit: int
) -> None:
    room = limit - len(json.dumps({"a": "", **MARK}))
    assert merged(provider, json.dumps(wrapped(provider, {"a": "x" * room}))) == wrapped(
        provider, {"a": "x" * room, **MARK}
    )
    own = ((OBJECTS[provider][0], json.dumps(wrapped(provider, {"a": "x" * (room + 1)}))),)
    assert headers(provider, ID, own) == own


def test_postmark_takes_ten_fields_and_one_of_a_name() -> None:
    nine = tuple((f"X-PM-Metadata-{n}", "a") for n in range(9))
    assert len(headers("postmark", ID, nine)) == 10
    ten = (*nine, ("x-pm-metadata-nine", "a"))
    assert headers("postmark", ID, ten) == ten
    named = (("x-pm-metadata-Maild_Message_Id", "mine"),)
    assert headers("postmark", ID, named) == named


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_a_new_header_takes_one_line(provider: str) -> None:
    [(name, value)] = headers(provider, ID, ())
    assert " " not in value
    assert f"\r\n{name}: {value}\r\n".encode() in built(headers(provider, ID, ()))


@given(
    provider=st.sampled_from(PLAIN),
    said=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=90) | st.integers() | st.none(),
        max_size=8,
    ),
)
def test_whatever_is_joined_arrives_as_json(provider: str, said: dict[str, object]) -> None:
    name = OBJECTS[provider][0]
    own = headers(provider, ID, ((name, json.dumps(said)),))
    parsed = email.message_from_bytes(built(own), policy=email.policy.default)
    found = json.loads(parsed[name])
    assert found in ({**said, **MARK}, said)


def built(own: tuple[tuple[str, str], ...]) -> bytes:
    """A mail with these headers."""
    content = mime.Content(
        message_id="<a@example.com>",
        date=datetime(2026, 1, 1, tzinfo=UTC),
        from_email="a@example.com",
        to=("b@example.org",),
        subject="Hello",
        body_text="Hello.",
        headers=own,
    )
    return mime.build(content)
