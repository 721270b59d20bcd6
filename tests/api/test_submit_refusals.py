"""POST /v1/messages: what it refuses, in which words, and that nothing is stored then."""

import io
from datetime import UTC, datetime, timedelta

import pytest

from maild.api.endpoint import MAX_BODY_BYTES
from maild.domain import submission
from tests.api.conftest import attachment, file_with

NOTHING = {"Message": 0, "MessageBody": 0, "MessageAttachment": 0, "Event": 0, "SmtpAccount": 0}

LINE_BREAKS = {
    "CR": "a\rb",
    "LF": "a\nb",
    "CRLF": "a\r\nBcc: eve@example.net",
    "NUL": "a\0b",
    "LF at the end": "a\n",
    "NEL": "a\x85b",
    "LINE SEPARATOR": "a\u2028b",
    "PARAGRAPH SEPARATOR": "a\u2029b",
    "VT": "a\x0bb",
}


@pytest.mark.proves("bad-json")
@pytest.mark.parametrize("name", ["from_email", "to_email", "subject"])
@pytest.mark.parametrize("value", [..., "", "   ", "\t", "\u00a0\u3000", None])
def test_it_answers_400_for_a_missing_required_field(api, refused, stored, name, value):
    refused(api.submit(**{name: value}), 400, "invalid_request", name)
    assert stored() == NOTHING


@pytest.mark.parametrize("fields", [{"body_text": ...}, {"body_text": ""}, {"body_text": None},
                                    {"body_text": "", "body_html": ""}])  # fmt: skip
def test_it_answers_400_without_a_body(api, refused, stored, fields):
    refused(api.submit(**fields), 400, "invalid_request", "body_text")
    assert stored() == NOTHING


def test_it_names_all_missing_fields_at_once(api, refused):
    names = ("from_email", "to_email", "subject")
    refused(api("POST", "/v1/messages", json={}), 400, "invalid_request", *names)
    blank = dict.fromkeys(names, " ") | {"body_text": ...}
    refused(api.submit(**blank), 400, "invalid_request", *names, "body_text")


WRONG_TYPES = [
    *((name, value) for name in ("from_email", "subject") for value in (5, True, [], {})),
    ("to_email", 5), ("to_email", ["ann@example.org"]), ("to_email", {"email": "ann@example.org"}),
    *((name, 5) for name in ("body_text", "body_html", "from_name", "reply_to")),
    ("headers", []), ("headers", "X-A: b"), ("headers", None),
    ("attachments", {}), ("attachments", "x"), ("attachments", None),
    ("stream", "bulk"), ("stream", "Marketing"), ("stream", None), ("stream", 0),
    ("tags", "a,b"), ("tags", {}), ("tags", None),
    ("metadata", []), ("metadata", "x"), ("metadata", None),
    *(("workspace_id", value) for value in (
        0, -1, 2**31, 2**63, -(2**63), 10**30, True, "1", 1.0, 1.5, [],
    )),
    *(("expires_at", value) for value in (5, "soon", "2020-01-01T00:00:00Z", "2030-01-01")),
    *(("scheduled_at", value) for value in (
        1893456000, 1893456000.5, "1893456000", True, [], "", "tomorrow", "2030-01-01",
        "2030-01-01T00:00:00", "2030-02-30T00:00:00Z", "2030-01-01T25:00:00Z", "2030-01-01T00:00Z",
        "0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00", "２０３０-01-01T00:00:00Z",
    )),
    ("to", "ann@example.org"), ("id", 7), ("status", "sent"), ("Subject", "x"), ("__proto__", {}),
]  # fmt: skip


@pytest.mark.proves("bad-json")
@pytest.mark.parametrize(("name", "value"), WRONG_TYPES)
def test_it_answers_422_for_a_wrong_type_or_an_unknown_field(api, refused, stored, name, value):
    document = refused(api.submit(**{name: value}), 422, "invalid_fields")
    assert [item["field"] for item in document["errors"]] == [name]
    assert stored() == NOTHING


def test_it_answers_422_for_a_time_too_far_ahead(api, refused, stored):
    far = datetime.now(UTC) + timedelta(days=submission.SCHEDULE_MAX_DAYS, minutes=5)
    refused(api.submit(scheduled_at=far.isoformat()), 422, "invalid_fields", "scheduled_at")
    refused(api.submit(scheduled_at="9999-12-31T23:59:59Z"), 422, "invalid_fields", "scheduled_at")
    assert stored() == NOTHING


def test_it_refuses_a_lifetime_that_ends_before_it_begins(api, refused, stored):
    at = datetime.now(UTC) + timedelta(hours=1)
    response = api.submit(scheduled_at=at.isoformat(), expires_at=at.isoformat())
    refused(response, 422, "invalid_fields", "expires_at")
    far = datetime.now(UTC) + timedelta(days=400)
    refused(api.submit(expires_at=far.isoformat()), 422, "invalid_fields", "expires_at")
    assert stored() == NOTHING


BAD_ADDRESSES = [
    "ann", "ann@", "@example.org", "ann@@example.org", "ann example.org", "ann@exa mple.org",
    "ann@example.org,bob@example.org", "ann@example.org bob@example.org", "a@x.org;b@x.org",
    "Ann <ann@example.org>", "<ann@example.org>", " ann@example.org", "ann@example.org ",
    "ann@-example.org", "ann@example..org", "ann@example.org.", ".ann@example.org", "a..b@x.org",
    '"a b"@example.org', "ann@[127.0.0.1]", "ann@example.org\u200b", "\u202eann@example.org",
    "ann(comment)@example.org", "ann@" + "b" * 64 + ".org",
    "ann@" + "b." * 130 + "org", "a" * 100_000 + "@example.org", "mailto:ann@example.org",
]  # fmt: skip


@pytest.mark.parametrize("field", ["to_email", "from_email", "reply_to"])
@pytest.mark.parametrize(
    "text", [*BAD_ADDRESSES, *(f"{t}@example.org" for t in LINE_BREAKS.values())]
)
def test_it_answers_422_for_what_is_not_one_address(api, refused, stored, field, text):
    refused(api.submit(**{field: text}), 422, "invalid_fields", field)
    assert stored() == NOTHING


def test_it_refuses_a_local_part_past_64_octets(api, refused):
    refused(api.submit(to_email=f"{'a' * 65}@example.org"), 422, "invalid_fields", "to_email")


@pytest.mark.proves("security-injection")
@pytest.mark.parametrize("text", LINE_BREAKS.values(), ids=LINE_BREAKS)
@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("subject", lambda text: {"subject": text}),
        ("from_name", lambda text: {"from_name": text}),
        ("reply_to", lambda text: {"reply_to": f"ann@example.org{text}"}),
        ("to_email", lambda text: {"to_email": f"ann@example.org{text}"}),
        ("from_email", lambda text: {"from_email": f"ann@example.org{text}"}),
        ("headers.X-A", lambda text: {"headers": {"X-A": text}}),
        ("headers", lambda text: {"headers": {f"X-{text}": "v"}}),
        ("tags.0", lambda text: {"tags": [text]}),
        ("attachments.0.filename", lambda text: file_with(filename=text)),
        ("attachments.0.content_type", lambda text: file_with(content_type=f"text/plain{text}")),
        ("attachments.0.content_id", lambda text: file_with(content_id=text)),
    ],
)
def test_it_lets_no_line_break_into_a_header(api, refused, stored, field, fields, text):
    refused(api.submit(**fields(text)), 422, "invalid_fields", field)
    assert stored() == NOTHING


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("body_text", {"body_text": "a\0b"}),
        ("body_html", {"body_html": "\0"}),
        ("metadata", {"metadata": {"a\0b": 1}}),
        ("metadata.a", {"metadata": {"a": "\0"}}),
        ("metadata.a.1.b", {"metadata": {"a": [1, {"b": "x\0"}]}}),
        ("metadata.a.b", {"metadata": {"a": {"b\0": 1, "b": "\0"}}}),
    ],
)
def test_it_refuses_nul_where_it_cannot_be_kept(api, refused, stored, field, fields):
    document = refused(api.submit(**fields), 422, "invalid_fields")
    assert field in {item["field"] for item in document["errors"]}
    assert stored() == NOTHING


@pytest.mark.parametrize(
    "name",
    [
        "From", "TO", "cc", "Bcc", "Date", "Subject", "Reply-To", "Sender", "Message-ID",
        "Return-Path", "Received", "MIME-Version", "Content-Type", "content-id",
        "DKIM-Signature",
        "Resent-To", "ARC-Seal", "X-Maild-Id",
    ],
)  # fmt: skip
def test_it_keeps_reserved_headers_to_itself(api, refused, stored, name):
    refused(api.submit(headers={name: "x"}), 422, "invalid_fields", f"headers.{name}")
    assert stored() == NOTHING


@pytest.mark.parametrize(
    "name", ["", " ", "X A", "X-A:", "Subject ", "X-é", "ſubject", "X" * 77, ":"]
)
def test_it_refuses_what_is_not_a_header_name(api, refused, stored, name):
    refused(api.submit(headers={name: "x"}), 422, "invalid_fields", "headers")
    assert stored() == NOTHING


@pytest.mark.parametrize("value", [None, 1, ["a"], {}])
def test_it_refuses_a_header_value_that_is_no_text(api, refused, value):
    refused(api.submit(headers={"X-A": value}), 422, "invalid_fields", "headers.X-A")


@pytest.mark.parametrize(
    ("field", "fits", "too_much"),
    [
        ("headers", {"headers": {f"X-{n}": "v" for n in range(100)}},
         {"headers": {f"X-{n}": "v" for n in range(101)}}),
        ("headers.X-A", {"headers": {"X-A": "v" * 993}}, {"headers": {"X-A": "v" * 994}}),
        ("subject", {"subject": "s" * 998}, {"subject": "s" * 999}),
        ("from_name", {"from_name": "n" * 256}, {"from_name": "n" * 257}),
        ("tags", {"tags": ["t"] * 50}, {"tags": ["t"] * 51}),
        ("tags.0", {"tags": ["t" * 100]}, {"tags": ["t" * 101]}),
        ("metadata", {"metadata": {"a": "m" * 32_000}}, {"metadata": {"a": "m" * 32_768}}),
        ("attachments", {"attachments": [attachment()] * 100},
         {"attachments": [attachment()] * 101}),
        ("attachments.0.filename", file_with(filename="f" * 255), file_with(filename="f" * 256)),
        ("attachments.0.content_id", file_with(content_id="c" * 200),
         file_with(content_id="c" * 201)),
    ],
)  # fmt: skip
def test_it_holds_each_limit(api, refused, stored, field, fits, too_much):
    refused(api.submit(**too_much), 422, "invalid_fields", field)
    assert stored() == NOTHING
    assert api.submit(**fits).status_code == 201


@pytest.mark.parametrize(
    ("field", "given"),
    [
        *(
            ("content_base64", {"content_base64": text})
            for text in (None, 5, "!!!!", "YWJ", "YQ", "YQ===", "Y=Q=", "-_-_", "YWJjé", "Yg,Yg")
        ),
        *(("filename", {"filename": text}) for text in ("", "  ", None, 5)),
        *(
            ("content_type", {"content_type": text})
            for text in ("", "pdf", "a/b/c", "a b/c", "text/plain;", "text/plain; a", "ä/b",
                         "text/plain; a=b\r\nX: y", "a/" + "b" * 128, "a/b; c=" + "d" * 255, 5)
        ),
        *(("content_id", {"content_id": text}) for text in ("", "<a>", "a b", 5)),
        ("size", {"size": 3}),
    ],
)  # fmt: skip
def test_it_refuses_a_bad_attachment(api, refused, stored, field, given):
    document = refused(api.submit(**file_with(**given)), 422, "invalid_fields")
    assert {item["field"] for item in document["errors"]} == {f"attachments.0.{field}"}
    assert stored() == NOTHING


@pytest.mark.parametrize("given", [{}, {"filename": "a"}, {"content_base64": "YQ=="}])
def test_it_answers_422_for_an_incomplete_attachment(api, refused, given):
    missing = {"filename", "content_base64"} - set(given)
    fields = [f"attachments.0.{name}" for name in missing]
    refused(api.submit(attachments=[given]), 422, "invalid_fields", *fields)


@pytest.mark.parametrize("tag", ["", "  ", 5, None])
def test_it_refuses_a_bad_tag(api, refused, tag):
    refused(api.submit(tags=["ok", tag]), 422, "invalid_fields", "tags.1")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_it_refuses_a_number_that_is_none(api, refused, stored, number):
    response = api.submit_raw(f'"metadata": {{"a": [{number}]}}')
    refused(response, 422, "invalid_fields", "metadata.a.0")
    assert stored() == NOTHING


@pytest.mark.proves("bad-json")
@pytest.mark.parametrize(
    "data",
    [
        b"", b" ", b"{", b'{"a":1,}', b"{'a':1}", b"\xff\xfe{}", b'{"subject":"\xff"}', b"a=b&c=d",
        b"\xef\xbb\xbf{}", b'{"a":1}{"b":2}', b'{"a":tru}', b"\0", b'{"a":01}', b'{"a":"\n"}',
        b'{"subject":"\\ud800"}', b'{"subject":"\\udc00\\ud800"}', b'{"metadata":{"\\ud800":1}}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"metadata":' + b"[" * 100_000, b'{"metadata":{"a":' + b"[" * 9999 + b"]" * 9999 + b"}}",
    ],
)  # fmt: skip
def test_it_answers_400_for_what_is_not_json(api, refused, stored, data):
    refused(api("POST", "/v1/messages", data=data), 400, "malformed_json")
    assert stored() == NOTHING


@pytest.mark.parametrize("data", [b"[]", b'"text"', b"null", b"1", b"true", b'[{"subject":"x"}]'])
def test_it_answers_422_for_json_that_is_no_object(api, refused, stored, data):
    refused(api("POST", "/v1/messages", data=data), 422, "invalid_fields", "body")
    assert stored() == NOTHING


@pytest.mark.proves("bad-size")
def test_it_answers_413_past_10_mb(api, refused, stored):
    start = b'{"from_email":"a@example.com","to_email":"b@example.org","subject":"s","body_text":"'
    data = start + b"x" * (MAX_BODY_BYTES - len(start) - 1) + b'"}'
    assert len(data) == MAX_BODY_BYTES + 1
    refused(api("POST", "/v1/messages", data=data), 413, "payload_too_large")
    assert stored() == NOTHING


@pytest.mark.proves("bad-size")
def test_it_answers_413_past_10_mb_without_a_length(client, refused, stored, settings):
    response = client.post(
        "/v1/messages",
        input_stream=io.BytesIO(b'{"subject":"' + b"x" * MAX_BODY_BYTES + b'"}'),
        headers={settings.api_key_header: settings.admin_api_key},
        environ_overrides={"wsgi.input_terminated": True},
    )
    refused(response, 413, "payload_too_large")
    assert stored() == NOTHING


@pytest.mark.parametrize(
    "fragment",
    [
        ",".join(f'"k{n}": 1' for n in range(20_000)),
        '"tags": [' + ",".join(["1"] * 20_000) + "]",
        '"tags": [' + ",".join(['""'] * 20_000) + "]",
        '"headers": {' + ",".join(f'"k {n}": "\\n"' for n in range(20_000)) + "}",
        '"metadata": {"a": [' + ",".join(['"\\u0000"'] * 20_000) + "]}",
        '"attachments": [' + ",".join(["{}"] * 20_000) + "]",
    ],
    ids=["unknown fields", "tags of numbers", "empty tags", "headers", "metadata", "attachments"],
)
def test_it_answers_thousands_of_mistakes_briefly(api, refused, stored, fragment):
    response = api.submit_raw(fragment)
    refused(response, 422, "invalid_fields")
    assert len(response.data) < 20_000
    assert stored() == NOTHING


@pytest.mark.parametrize(
    ("to_email", "is_blocked"),
    [
        ("ann@blocked.example", True),
        ("ann@BLOCKED.example", True),
        ("ann@ｂlocked.example", True),
        ("ann@blocked\u3002example", True),
        ("ann@sub.blocked.example", False),
        ("ann@notblocked.example", False),
        ("ann@a.below.example", True),
        ("ann@a.b.below.example", True),
        ("ann@below.example", False),
        ("ann@notbelow.example", False),
        ("blocked.example@example.org", False),
    ],
)
def test_it_blocks_recipient_domains(api, refused, stored, use_settings, to_email, is_blocked):
    use_settings(blocked_recipient_domains=("blocked.example", "*.below.example"))
    response = api.submit(to_email=to_email)
    if is_blocked:
        refused(response, 422, "blocked_recipient_domain", "to_email")
        assert stored() == NOTHING
    else:
        assert response.status_code == 201


def test_it_blocks_an_internationalised_domain_in_either_form(api, refused, stored, use_settings):
    use_settings(blocked_recipient_domains=("xn--bcher-kva.example", "*.xn--bcher-kva.example"))
    for domain in ("bücher.example", "BÜCHER.example", "xn--bcher-kva.example", "a.bücher.example"):
        response = api.submit(to_email=f"ann@{domain}")
        refused(response, 422, "blocked_recipient_domain", "to_email")
    assert stored() == NOTHING


def test_it_blocks_mailinator_by_default(api, refused):
    for domain in ("mailinator.com", "tempmail.com"):
        refused(api.submit(to_email=f"a@{domain}"), 422, "blocked_recipient_domain", "to_email")


def test_it_answers_404_for_an_unknown_workspace(api, refused, stored):
    refused(api.submit(workspace_id=999), 404, "not_found")
    assert stored() == NOTHING


@pytest.mark.parametrize("key", [None, "nonsense"])
def test_it_stores_nothing_for_a_stranger(api, refused, stored, key):
    refused(api.submit(key=key), 401, "unauthenticated")
    assert stored() == NOTHING


def test_it_lets_an_operator_submit(api):
    assert api.submit(key="operator").status_code == 201


def test_it_goes_on_after_a_refusal(api, stored):
    assert api.submit(workspace_id=999).status_code == 404
    assert api.submit().status_code == 201
    assert stored()["Message"] == 1
