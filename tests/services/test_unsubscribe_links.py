"""Links: whoever has one is known by it, nobody else can make one, and nothing tells why not."""

import base64
import email
import re
import uuid
from email import policy

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maild.db import database as db
from maild.domain import mime
from maild.domain.actor import COMMAND_LINE
from maild.errors import DecryptionError, NotFound
from maild.models import LinkKey, Message
from maild.services import link_keys, unsubscribe_links
from maild.services.unsubscribe_links import Link
from tests.conftest import WORKSPACE_A, WORKSPACE_B
from tests.domain.test_mime import content, parsed

MESSAGE_ID = uuid.UUID("01890a5d-ac96-774b-bcce-b302099a8057")
LINK = Link(WORKSPACE_A, MESSAGE_ID, "Ann@example.org", "news")
LONGEST_URL = "https://" + "m" * 134 + ".example"


@pytest.fixture
def token(database, make):
    return make()


@pytest.fixture
def make(database):
    """The token of a link; LINK's unless told otherwise."""

    def token_of(link=LINK):
        unsubscribe_links.load(link.workspace_id)
        return unsubscribe_links.make_url(link).rpartition("/u/")[2]

    return token_of


@pytest.fixture
def fields(database, use_settings):
    """The header fields of a message; LINK's unless told otherwise."""
    use_settings(public_url="https://mail.example.com")
    unsubscribe_links.load(WORKSPACE_A)

    def of(**changes):
        values = {
            "workspace_id": WORKSPACE_A,
            "message_id": MESSAGE_ID,
            "email": "ann@example.org",
            "topic": "news",
        }
        return unsubscribe_links.headers(**{**values, **changes})

    return of


def refused(token):
    with pytest.raises(NotFound) as caught:
        unsubscribe_links.open_token(token)
    return caught.value.detail


# What a link means


def test_it_says_who_leaves_what(make):
    for link in (LINK, Link(WORKSPACE_B, MESSAGE_ID, "jörg@bücher.example", None)):
        assert unsubscribe_links.open_token(make(link)) == link


@given(
    message_id=st.uuids(),
    address=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60),
    topic=st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_it_comes_back_as_it_was(make, message_id, address, topic):
    link = Link(WORKSPACE_A, message_id, address, topic)
    token = make(link)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", token)
    assert unsubscribe_links.open_token(token) == link


def test_every_attempt_has_the_same_one(make):
    first = make()
    link_keys.forget()  # another process
    assert make() == first


def test_every_recipient_and_topic_has_another(make):
    links = [
        LINK,
        Link(WORKSPACE_A, MESSAGE_ID, "bob@example.org", "news"),
        Link(WORKSPACE_A, MESSAGE_ID, "Ann@example.org", "offers"),
        Link(WORKSPACE_A, MESSAGE_ID, "Ann@example.org", None),
        Link(WORKSPACE_A, uuid.uuid4(), "Ann@example.org", "news"),
        Link(WORKSPACE_B, MESSAGE_ID, "Ann@example.org", "news"),
    ]
    assert len({make(link) for link in links}) == len(links)


def test_it_hides_the_address_and_the_topic(token):
    raw = base64.urlsafe_b64decode(token + "==")
    for word in (b"ann", b"example", b"news", MESSAGE_ID.bytes):
        assert word not in raw.lower()


def test_it_outlives_its_message(accept, make):
    message = accept()
    token = make(Link(WORKSPACE_A, message.id, message.to_email, None))
    Message.delete().execute()
    assert unsubscribe_links.open_token(token).email == message.to_email


def test_it_outlives_its_key(make):
    old = make()
    link_keys.rotate(WORKSPACE_A, by=COMMAND_LINE)
    new = make()
    assert old != new
    assert unsubscribe_links.open_token(old) == unsubscribe_links.open_token(new) == LINK


# What is no link


def test_every_changed_octet_spoils_it(token):
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1
        assert refused(base64.urlsafe_b64encode(changed).rstrip(b"=").decode())


def test_another_key_opens_nothing(make):
    """The id of a key that is there, of this workspace or another, in front of another's token."""
    tokens = [make()]
    link_keys.rotate(WORKSPACE_A, by=COMMAND_LINE)
    tokens += [make(), make(Link(WORKSPACE_B, MESSAGE_ID, "Ann@example.org", "news"))]
    raws = [base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)) for token in tokens]
    for one in raws:
        for other in raws:
            if one is not other:
                mixed = one[:5] + other[5:]
                refused(base64.urlsafe_b64encode(mixed).rstrip(b"=").decode())


def test_a_key_that_moved_to_another_workspace_opens_nothing(make):
    token = make()
    LinkKey.update(workspace=WORKSPACE_B).execute()
    with pytest.raises(DecryptionError):
        unsubscribe_links.open_token(token)


def test_the_same_key_for_another_workspace_opens_nothing(make, monkeypatch):
    token = make()
    known = link_keys.load(WORKSPACE_A)
    other = link_keys.Key(known.id, WORKSPACE_B, known.cipher)
    monkeypatch.setattr(link_keys, "find", lambda key_id: other)
    refused(token)


def test_a_token_of_another_purpose_opens_nothing(make):
    key = link_keys.load(WORKSPACE_A)
    head = b"\x01" + key.id.to_bytes(4, "big")
    plain = MESSAGE_ID.bytes + b"ann@example.org"
    workspace = str(WORKSPACE_A).encode()

    def sealed(*bound):
        raw = head + key.cipher.encrypt(plain, list(bound))
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    assert unsubscribe_links.open_token(sealed(b"maild unsubscribe link", workspace, head))
    for bound in (
        (b"maild something else", workspace, head),
        (b"maild unsubscribe link", workspace),
        (b"maild unsubscribe link", b"", head),
        (b"maild unsubscribe link" + workspace, head),
        (),
    ):
        refused(sealed(*bound))


def test_all_that_is_wrong_is_told_alike(token, monkeypatch):
    """The same words, after the same questions to the database and the same cryptography."""
    tampered = token[:-3] + ("AAA" if token[-3:] != "AAA" else "BBB")
    wrong = [
        "", "x", "%", "ü", "a" * 21, "A" * 100, "A" * 10_000, "=" * 40, token + "=", token + "A",
        token + "\n", " " + token, token[:-1], token[:28], token[:27], token[1:], tampered,
        token.swapcase(), token.replace(token[10], "+"), "AQAAAAA" + token[7:],
    ]  # fmt: skip
    asked = []
    find = link_keys.find
    monkeypatch.setattr(link_keys, "find", lambda key_id: asked.append(key_id) or find(key_id))
    details = [refused(text) for text in wrong]
    assert set(details) == {"This link does not work."}
    assert len(asked) == len(wrong)


def test_one_text_is_one_token(token):
    """Spare bits of the last character, and the other alphabet, make no second one."""
    opened = []
    for char in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=":
        try:
            unsubscribe_links.open_token(token[:-1] + char)
        except NotFound:
            continue
        opened.append(char)
    assert opened == [token[-1]]


# RFC 5297


def test_the_cipher_is_that_of_the_rfc():
    """RFC 5297 A.1."""
    key = bytes.fromhex("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    bound = bytes.fromhex("101112131415161718191a1b1c1d1e1f2021222324252627")
    sealed = AESSIV(key).encrypt(bytes.fromhex("112233445566778899aabbccddee"), [bound])
    assert sealed.hex() == "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c"


# RFC 2369 and RFC 8058


def test_the_fields_are_those_of_the_rfc(fields):
    """RFC 8058 8.1, but for the opaque part."""
    (name, value), post = fields()
    assert name == "List-Unsubscribe"
    assert re.fullmatch(r"<https://mail\.example\.com/u/[A-Za-z0-9_-]{60,200}>", value)
    assert post == ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
    assert unsubscribe_links.open_token(value[1:-1].rpartition("/")[2]).email == "ann@example.org"


def test_they_are_written_as_they_are(fields):
    own = (("X-Campaign", "spring " * 20),)
    raw = mime.build(content(headers=own, literal_headers=fields()))
    head = raw.partition(b"\r\n\r\n")[0].split(b"\r\n")
    for name, value in fields():
        assert head.count(f"{name}: {value}".encode()) == 1


def test_a_stranger_reads_them(fields):
    message = parsed(mime.build(content(literal_headers=fields())))
    assert message.get_all("List-Unsubscribe") == [fields()[0][1]]
    assert message.get_all("List-Unsubscribe-Post") == ["List-Unsubscribe=One-Click"]
    assert not message["List-Unsubscribe"].defects
    # As mail programs do (RFC 2369 2): what stands in angle brackets, with commas between.
    [uri] = re.findall(r"<([^<>\s]+)>", message["List-Unsubscribe"])
    assert uri.startswith("https://mail.example.com/u/")
    old = email.message_from_bytes(
        mime.build(content(literal_headers=fields())), policy=policy.compat32
    )
    assert old["List-Unsubscribe"] == f"<{uri}>"


@pytest.mark.parametrize("name", ["ann", "ä" * 20, "a" * 60])
@pytest.mark.parametrize("topic", [None, "news", "тема" * 25, "主題" * 50, "🎉" * 100])
@pytest.mark.parametrize("domain", ["example.org", ("d" * 60 + ".") * 3 + "org"])
def test_the_line_is_legal_whatever_it_holds(fields, use_settings, name, topic, domain):
    use_settings(public_url=LONGEST_URL)
    address = f"{name}@{domain}"
    (field, value), _ = fields(email=address, topic=topic)
    assert len(LONGEST_URL) == 150
    line = f"{field}: {value}"
    assert len(line) <= 998  # RFC 5322 2.1.1
    raw = mime.build(content(literal_headers=((field, value),)))
    assert line.encode() + b"\r\n" in raw
    assert b"=?" not in raw
    link = unsubscribe_links.open_token(value[1:-1].rpartition("/")[2])
    assert link.email == address
    fits = topic is None or len(topic.encode()) <= 320
    assert link.topic == (topic if fits else link.topic)


def test_a_topic_without_room_leads_out_of_all(fields, use_settings):
    use_settings(public_url=LONGEST_URL)
    longest = "a" * 64 + "@" + ("d" * 60 + ".") * 3 + "org.example"
    (_, value), _ = fields(email=longest[:254], topic="🎉" * 100)
    assert unsubscribe_links.open_token(value[1:-1].rpartition("/")[2]).topic is None


def test_an_address_without_room_is_an_error_that_names_it(fields):
    with pytest.raises(ValueError, match="to_email"):
        fields(email="a" * 900 + "@example.org")


def test_they_ask_nobody(fields, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("it asked the database")

    monkeypatch.setattr(db, "execute_sql", refuse)
    assert fields() == fields()


def test_they_need_to_be_loaded_first(database):
    with pytest.raises(LookupError):
        unsubscribe_links.headers(
            workspace_id=WORKSPACE_A, message_id=MESSAGE_ID, email="a@example.org", topic=None
        )
