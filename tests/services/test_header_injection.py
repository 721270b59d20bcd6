"""Nobody gets a line of their own into a header or an SMTP command, whatever they submit.

A line break or NUL is refused when the message is submitted, and once more when it is built; what
is not refused reaches the wire in the fields that it belongs to, and adds none.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email import message_from_bytes, policy
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from maild.domain import submission
from maild.domain.mime import Attachment, Content, build
from maild.errors import InvalidRequest
from maild.models import Message
from maild.services import addresses
from maild.transports.smtp import Capabilities, Offer
from maild.transports.smtp_offer import envelope
from tests.conftest import Inbox

BREAKS = re.compile(r"[\r\n\0]")
EVERYTHING = Capabilities(size_limit=0, eight_bit=True, smtputf8=True, pipelining=True)

# What attackers write, and what takes part in the syntax of headers and commands.
LOUD = ["\r\n", "\n", "\r", "\0", "\r\n\r\n", "\n ", "\r\n\t", "\r\n.\r\n", "\ud800"]
QUIET = [
    "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "Bcc: x@example.com", "\\r\\n", "%0d%0a",
    "RCPT TO:<x@example.com>", "DATA", "=0D=0A", "=?utf-8?q?=0D=0ABcc:_x=40example.com?=",
    "=?utf-8?b?DQpCY2M6IHg=?=", ".", ":", ";", ",", "<", ">", "@", '"', "\\", "(", ")", "[", "]",
    " ", "\t", "a", "ann@example.com", "ü", "邮", "--", "filename*=utf-8''", "x" * 80,
]  # fmt: skip


def nasty(pieces: list[str]) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(pieces) | st.text(max_size=3), max_size=12).map("".join)


def attacked(good: str) -> st.SearchStrategy[str]:
    """A value that begins or ends well, or does neither, with line breaks or without."""
    text = nasty(QUIET) | nasty(QUIET + LOUD)
    return text | text.map(lambda bad: good + bad) | text.map(lambda bad: bad + good)


GOOD: dict[str, Any] = {
    "message_id": "<1@example.com>",
    "date": datetime(2026, 3, 1, tzinfo=UTC),
    "from_email": "ann@example.com",
    "to": ("bob@example.org",),
    "subject": "Hello",
    "body_text": "Hello\r\nBcc: not-a-header@example.com\r\n\r\n.\r\n",
}
ADDRESS = attacked("ann@example.com")
FILES = st.builds(
    Attachment,
    filename=attacked("report.pdf"),
    content_type=attacked("application/pdf"),
    content=st.binary(max_size=20),
    content_id=st.none() | st.just("logo") | attacked("logo"),
)
ATTACKED_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "from_email": ADDRESS,
    "from_name": attacked("Ann"),
    "to": st.tuples(ADDRESS) | st.tuples(ADDRESS, st.just("bob@example.org")),
    "cc": st.tuples(ADDRESS),
    "reply_to": ADDRESS,
    "subject": attacked("Hello"),
    "body_html": st.just("<p>Hello"),
    "headers": st.tuples(st.tuples(st.just("X-Own") | attacked("X-Own"), attacked("value"))),
    "attachments": st.tuples(FILES),
}
CONTENTS = (
    st.lists(st.sampled_from(sorted(ATTACKED_FIELDS)), min_size=1, max_size=3, unique=True)
    .flatmap(lambda names: st.fixed_dictionaries({n: ATTACKED_FIELDS[n] for n in names}))
    .map(lambda changes: Content(**(GOOD | changes)))
)


def texts(content: Content) -> list[str]:
    """Everything of a message that stands in a header."""
    found = [content.from_email, content.from_name, content.reply_to, content.subject]
    found += [*content.to, *content.cc, *(text for header in content.headers for text in header)]
    for attachment in content.attachments:
        found += [attachment.filename, attachment.content_id]
    return [text for text in found if text is not None]


def header_names(content: Content) -> list[str]:
    """The fields that the message must have, in order, but for those of its body."""
    names = ["Date", "From"]
    names += ["To"] if content.to else []
    names += ["Cc"] if content.cc else []
    names += ["Reply-To"] if content.reply_to else []
    names += ["Subject", "Message-ID", *(name for name, _ in content.headers), "MIME-Version"]
    return names


def field_names(raw: bytes) -> list[str]:
    """The fields that any reader finds: one that takes every break of a line for one."""
    head = re.split(rb"\r\n\r\n|\n\n|\r\r", raw)[0]
    lines = re.split(rb"\r\n|\r|\n", head)
    return [line.split(b":")[0].decode() for line in lines if not line.startswith((b" ", b"\t"))]


def assert_adds_nothing(raw: bytes, names: list[str]) -> None:
    """No line break but CRLF, no NUL, and none but these fields, in the message and its parts."""
    head = raw.partition(b"\r\n\r\n")[0]
    assert not re.search(rb"[\r\n\0]", head.replace(b"\r\n", b""))
    found = field_names(raw)
    assert found[: len(names)] == names
    assert set(found[len(names) :]) <= {"Content-Type", "Content-Transfer-Encoding"}
    for part in list(message_from_bytes(raw, policy=policy.compat32).walk())[1:]:
        assert set(part.keys()) <= {
            "Content-Type",
            "Content-Transfer-Encoding",
            "Content-Disposition",
            "Content-ID",
        }
        assert not part.defects


@settings(max_examples=400, deadline=None)
@given(CONTENTS, st.booleans(), st.booleans())
def test_a_message_is_refused_or_has_the_fields_that_it_should(
    content: Content, eight_bit: bool, utf8_headers: bool
) -> None:
    try:
        raw = build(content, eight_bit=eight_bit, utf8_headers=utf8_headers)
    except ValueError:
        return
    assert not any(BREAKS.search(text) for text in texts(content))
    assert_adds_nothing(raw, header_names(content))


@pytest.mark.proves("security-injection")
@pytest.mark.parametrize("bad", ["\r", "\n", "\0", "\r\n", "\r\n ", "\n\t"])
@pytest.mark.parametrize("where", ["{}{}x", "{}x{}", "{}"])
def test_a_line_break_anywhere_is_refused_and_never_mended(bad: str, where: str) -> None:
    text = where.format(bad, bad)
    changes: list[tuple[str, dict[str, Any]]] = [
        ("From", {"from_email": text}),
        ("From", {"from_email": f"ann@example.com{text}"}),
        ("From", {"from_name": text}),
        ("To", {"to": (f"ann{text}@example.com",)}),
        ("To", {"to": ("ann@example.com", text)}),
        ("Cc", {"cc": (text,)}),
        ("Reply-To", {"reply_to": f"{text}ann@example.com"}),
        ("Subject", {"subject": text}),
        ("Subject", {"subject": f"Hello{text}"}),
        ("headers", {"headers": ((f"X-Own{text}", "value"),)}),
        ("X-Own", {"headers": (("X-Own", f"value{text}"),)}),
        ("filename", {"attachments": (Attachment(f"a{text}", "text/plain", b"x"),)}),
        ("content_id", {"attachments": (Attachment("a", "text/plain", b"x", f"id{text}"),)}),
        ("message_id", {"message_id": f"<1@example.com>{text}"}),
        ("message_id", {"message_id": f"<1{text}@example.com>"}),
    ]
    for field, change in changes:
        with pytest.raises(ValueError, match=f"^{field}: "):
            build(Content(**(GOOD | change)), utf8_headers=True)


@settings(max_examples=400, deadline=None)
@given(ADDRESS, ADDRESS)
@example("ann@example.com>\r\nRCPT TO:<x@example.com", "bob@example.org")
@example("ann@example.com", "bob@example.org> NOTIFY=NEVER")
@example("", "bob@example.org")
def test_an_envelope_is_refused_or_has_three_lines(mail_from: str, rcpt_to: str) -> None:
    message = "Subject: ü\r\n\r\nHello\r\n".encode()
    try:
        offer = Offer(mail_from, rcpt_to, message, None)
    except ValueError:
        return
    commands = envelope(offer, EVERYTHING)
    mail, rcpt, data, rest = commands.split(b"\r\n")
    assert mail.startswith(b"MAIL FROM:<" + mail_from.encode() + b"> ")
    assert rcpt == b"RCPT TO:<" + rcpt_to.encode() + b">"
    assert (data, rest) == (b"DATA", b"")
    assert not re.search(rb"[\r\n\0]", mail + rcpt)


@settings(max_examples=400, deadline=None)
@given(ADDRESS, nasty(QUIET + LOUD), attacked("tag"), attacked("X-Own"))
def test_what_the_checks_let_pass_can_be_built(
    address: str, line: str, tag: str, name: str
) -> None:
    """Nothing is accepted that could never be sent for what stands in its headers."""
    complaints = [
        *submission.check_line("subject", line, max_chars=submission.SUBJECT_MAX_CHARS),
        *submission.check_headers(((name, line),)),
        *submission.check_attachment(
            "file", filename=line, content_type="text/plain", content_id=None
        ),
    ]
    tag_complaints = list(submission.check_tags((tag,)))
    assert tag_complaints or not BREAKS.search(tag)
    try:
        text = addresses.parse(address).text
    except ValueError:
        text = ""
    assert not BREAKS.search(text)
    assert complaints or not BREAKS.search(line + name)
    if text and not complaints:
        content = Content(
            message_id="<1@example.com>",
            date=datetime(2026, 3, 1, tzinfo=UTC),
            from_email=text,
            from_name=line,
            to=(text,),
            reply_to=text,
            subject=line,
            body_text="Hello",
            headers=((name, line),),
            attachments=(Attachment(line, "text/plain", b"x"),),
        )
        raw = build(content, utf8_headers=True)
        assert_adds_nothing(raw, header_names(content))
        Offer(text, text, raw, None)


# Submitted


def file(**changes: object) -> tuple[Attachment, ...]:
    values: dict[str, object] = {
        "filename": "report.pdf",
        "content_type": "application/pdf",
        "content": b"x",
        "content_id": "logo",
    }
    return (Attachment(**{**values, **changes}),)  # type: ignore[arg-type]


INJECTED = "\r\nBcc: x@example.com"
ATTACKS: list[tuple[str, Callable[[str], dict[str, object]]]] = [
    ("from_email", lambda bad: {"from_email": f"shop@example.com{bad}"}),
    ("from_email", lambda bad: {"from_email": f"shop{bad}@example.com"}),
    ("to_email", lambda bad: {"to_email": f"ann@example.org{bad}"}),
    ("to_email", lambda bad: {"to_email": f"{bad}ann@example.org"}),
    ("reply_to", lambda bad: {"reply_to": f"ann@example.org{bad}"}),
    ("reply_to", lambda bad: {"reply_to": f"ann@{bad}example.org"}),
    ("from_name", lambda bad: {"from_name": f"Shop{bad}"}),
    ("subject", lambda bad: {"subject": f"Hello{bad}"}),
    ("subject", lambda bad: {"subject": f"Hello{bad} there"}),
    ("headers.X-Own", lambda bad: {"headers": (("X-Own", f"value{bad}"),)}),
    ("headers", lambda bad: {"headers": ((f"X-Own{bad}", "value"),)}),
    ("headers", lambda bad: {"headers": ((f"X-Own: a{bad}", "value"),)}),
    ("tags.0", lambda bad: {"tags": (f"tag{bad}",)}),
    ("attachments.0.filename", lambda bad: {"attachments": file(filename=f"a{bad}.pdf")}),
    ("attachments.0.content_type", lambda bad: {"attachments": file(content_type=f"a/b{bad}")}),
    ("attachments.0.content_id", lambda bad: {"attachments": file(content_id=f"logo{bad}")}),
]


@pytest.mark.parametrize("bad", ["\r", "\n", "\0", "\r\n", "\r\n ", "\n\t", INJECTED])
@pytest.mark.parametrize(("field", "attack"), ATTACKS)
def test_it_is_refused_when_it_is_submitted(
    accept: Callable[..., Message],
    field: str,
    attack: Callable[[str], dict[str, object]],
    bad: str,
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        accept(**attack(bad))
    named = {error.field for error in caught.value.errors}
    assert any(name == field or name.startswith(f"{field}.") for name in named), named
    assert Message.select().count() == 0


HARMLESS = [
    "=?utf-8?q?=0D=0ABcc:_x=40example.com?=",
    "=?utf-8?b?DQpCY2M6IHhAZXhhbXBsZS5jb20=?=",
    "%0d%0aBcc: x@example.com",
    "\\r\\nBcc: x@example.com",
    '"; Bcc="x@example.com',
    "Bcc: x@example.com, y@example.com; <z@example.com>",
    "x" * 230,
    "word " * 40 + "Bcc:",
    "ü" * 200,
    "tab\tand  spaces",
    "\u202etxt.exe",
]


def test_what_is_accepted_arrives_in_its_fields_and_adds_none(
    accept: Callable[..., Message], deliver: Callable[[], int], inbox: Inbox
) -> None:
    for text in HARMLESS:
        accept(
            subject=text,
            from_name=text,
            reply_to="answers@example.com",
            headers=(("X-Own", text),),
            tags=(text[:100],),
            attachments=file(filename=text, content_id=None),
        )
    deliver()
    arrived = [inbox.raw(message["ID"]) for message in inbox.messages()]
    assert len(arrived) == len(HARMLESS)
    for raw in arrived:
        names = field_names(raw)
        ours = names[names.index("Date") :]  # the inbox adds its own above
        expected = ["Date", "From", "To", "Reply-To", "Subject", "Message-ID", "X-Own"]
        assert ours == [*expected, "MIME-Version", "Content-Type"]
        message = message_from_bytes(raw, policy=policy.default)
        assert [address.addr_spec for address in message["To"].addresses] == ["ann@example.org"]
        assert [address.addr_spec for address in message["From"].addresses] == ["shop@example.com"]
    subjects = {
        str(message_from_bytes(raw, policy=policy.default)["Subject"]).replace("  ", " ")
        for raw in arrived
    }
    assert "=?utf-8?q?=0D=0ABcc:_x=40example.com?=" in subjects
