"""Amazon SNS's signatures, and the addresses that maild fetches for it."""

import base64
import contextlib
import http.client
import json
from datetime import timedelta
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from maild.errors import Unavailable
from maild.transports.webhooks import sns
from maild.transports.webhooks.base import BadSignature, Keys, Request, UnreadablePayload
from tests.transports.webhooks.builders import NOW

TOPIC = "arn:aws:sns:eu-west-1:123456789012:bounces"
HOST = "https://sns.eu-west-1.amazonaws.com"
CERTIFICATE_URL = f"{HOST}/SimpleNotificationService-0123abcd.pem"
KEYS = Keys(topic_arn=TOPIC)


def make_certificate(key, *, ends=NOW + timedelta(days=90)):
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    builder = x509.CertificateBuilder(issuer_name=name, subject_name=name)
    builder = builder.public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(NOW - timedelta(days=90)).not_valid_after(ends)
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


KEY, OTHER_KEY = (rsa.generate_private_key(65537, 2048) for _ in range(2))
PEM = make_certificate(KEY)


def notification(**changes):
    return {
        "Type": "Notification",
        "MessageId": "m-1",
        "TopicArn": TOPIC,
        "Subject": "Amazon SES Email Event Notification",
        "Message": '{"eventType": "Open"}',
        "Timestamp": "2026-11-28T11:59:59.123Z",
        "SignatureVersion": "1",
        "SigningCertURL": CERTIFICATE_URL,
    } | changes


def confirmation(**changes):
    others = {"Type": "SubscriptionConfirmation", "Token": "t", "Subject": "not signed here"}
    return notification() | others | {"SubscribeURL": f"{HOST}/?Action=Confirm&Token=t"} | changes


def sign(message, *names, key=KEY):
    """Signs the fields of these names, spelled out here as the documentation has them."""
    signed = "".join(f"{name}\n{message[name]}\n" for name in names)
    algorithm = SHA1() if message.get("SignatureVersion") == "1" else SHA256()
    signature = key.sign(signed.encode(), padding.PKCS1v15(), algorithm)
    return message | {"Signature": base64.b64encode(signature).decode()}


NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
NO_SUBJECT = ("Message", "MessageId", "Timestamp", "TopicArn", "Type")
CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")


def request(message, **headers):
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return Request(body=body, headers=headers, received_at=NOW)


def verify(message, keys=KEYS, *, pem=PEM, **headers):
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    sns.verify(request(message, **given), keys, fetch=lambda url: pem)


def without(message, name):
    return {key: value for key, value in message.items() if key != name}


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize(
    ("message", "names"),
    [
        (notification(), NOTIFICATION),
        (without(notification(), "Subject"), NO_SUBJECT),
        (notification(Subject=None), NO_SUBJECT),
        (notification(Message="ä\nb"), NOTIFICATION),
        (confirmation(), CONFIRMATION),
        (confirmation(Type="UnsubscribeConfirmation"), CONFIRMATION),
    ],
)
def test_it_accepts_what_sns_signed(message, names, version):
    verify(sign(message | {"SignatureVersion": version}, *names))


def test_it_asks_for_the_certificate_of_the_message():
    asked = []
    message = sign(notification(), *NOTIFICATION)

    def fetch(url):
        asked.append(url)
        return PEM

    sns.verify(request(message), KEYS, fetch=fetch)
    assert asked == [CERTIFICATE_URL]


@pytest.mark.parametrize("name", [*NOTIFICATION, "Signature", "SignatureVersion"])
@pytest.mark.parametrize("value", ["another", "", None, 7, ["x"], {}])
def test_it_refuses_a_message_with_a_changed_field(name, value):
    with pytest.raises(BadSignature):
        verify(sign(notification(), *NOTIFICATION) | {name: value})


@pytest.mark.parametrize("name", [*NO_SUBJECT, "Signature", "SignatureVersion", "SigningCertURL"])
def test_it_refuses_a_message_without_a_field(name):
    with pytest.raises(BadSignature):
        verify(without(sign(notification(), *NOTIFICATION), name))


@pytest.mark.parametrize("name", ["SubscribeURL", "Token"])
def test_what_confirms_a_subscription_is_signed(name):
    with pytest.raises(BadSignature):
        verify(sign(confirmation(), *CONFIRMATION) | {name: "another"})


def test_it_refuses_a_signature_of_the_other_version():
    with pytest.raises(BadSignature):
        verify(sign(notification(), *NOTIFICATION) | {"SignatureVersion": "2"})


@pytest.mark.parametrize("topic", [None, "", f"{TOPIC}2", TOPIC.upper()])
def test_it_hears_one_topic_only_and_fetches_nothing_for_others(topic):
    def fetch(url):
        raise AssertionError(url)

    message = sign(notification(), *NOTIFICATION)
    with pytest.raises(BadSignature, match="topic"):
        sns.verify(request(message), Keys(topic_arn=topic), fetch=fetch)


PINNED = [
    CERTIFICATE_URL,
    "https://sns.eu-west-1.amazonaws.com:443/a.pem",
    "https://sns.us-gov-west-1.amazonaws.com/SimpleNotificationService-1.pem",
    "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-1.pem",
]
NOT_PINNED = [
    "",
    "http://sns.eu-west-1.amazonaws.com/a.pem",
    "ftp://sns.eu-west-1.amazonaws.com/a.pem",
    "//sns.eu-west-1.amazonaws.com/a.pem",
    "https://sns.eu-west-1.amazonaws.com/a.txt",
    "https://sns.eu-west-1.amazonaws.com/",
    "https://sns.eu-west-1.amazonaws.com/a.pem?b",
    "https://sns.eu-west-1.amazonaws.com/?a.pem",
    "https://sns.eu-west-1.amazonaws.com/a.pem#b.pem",
    "https://sns.eu-west-1.amazonaws.com/../a.pem",
    "https://sns.eu-west-1.amazonaws.com/a/b.pem",
    "https://sns.eu-west-1.amazonaws.com:8443/a.pem",
    "https://sns.eu-west-1.amazonaws.com:443:443/a.pem",
    "https://user@sns.eu-west-1.amazonaws.com/a.pem",
    "https://sns.eu-west-1.amazonaws.com@evil.example/a.pem",
    "https://evil.example\\@sns.eu-west-1.amazonaws.com/a.pem",
    "https://evil.example/sns.eu-west-1.amazonaws.com/a.pem",
    "https://sns.eu-west-1.amazonaws.com.evil.example/a.pem",
    "https://sns.eu-west-1.amazonaws.com.cn.evil.example/a.pem",
    "https://sns.eu-west-1.amazonaws.com./a.pem",
    "https://sns.eu-west-1xamazonaws.com/a.pem",
    "https://evil.sns.eu-west-1.amazonaws.com/a.pem",
    "https://sns.evil.amazonaws.com/a.pem",
    "https://sns.amazonaws.com/a.pem",
    "https://s3.eu-west-1.amazonaws.com/a.pem",
    "https://sns.eu-west-1.amazonaws.com\n.evil.example/a.pem",
    " https://sns.eu-west-1.amazonaws.com/a.pem",
    "https://sns.eu-west-1.amazonaws.com/a b.pem",
    "https://sns.eu-west-1.amazonaws.com/ä.pem",
    "https://sns.eu-west-1.amazonaws.com\t/a.pem",
    "https://[sns.eu-west-1.amazonaws.com/a.pem",
    "https://127.0.0.1/a.pem",
    f"https://sns.eu-west-1.amazonaws.com/{'a' * 3000}.pem",
]


@pytest.mark.parametrize("url", PINNED)
def test_a_certificate_is_fetched_from_sns(url):
    assert sns.is_certificate_url(url)
    verify(sign(notification(SigningCertURL=url), *NOTIFICATION))


@pytest.mark.parametrize("url", NOT_PINNED)
def test_a_certificate_is_fetched_from_nowhere_else(url):
    assert not sns.is_certificate_url(url)
    with pytest.raises(BadSignature):
        verify(sign(notification(SigningCertURL=url), *NOTIFICATION))
    with pytest.raises(BadSignature):
        sns.fetch_certificate(url)


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"garbage",
        make_certificate(OTHER_KEY),
        make_certificate(KEY, ends=NOW - timedelta(seconds=1)),
        make_certificate(ec.generate_private_key(ec.SECP256R1())),
    ],
)
def test_it_refuses_another_certificate(pem):
    with pytest.raises(BadSignature):
        verify(sign(notification(), *NOTIFICATION), pem=pem)


def test_it_cannot_say_while_the_certificate_cannot_be_had():
    def fetch(url):
        raise Unavailable("not now")

    with pytest.raises(Unavailable):
        sns.verify(request(sign(notification(), *NOTIFICATION)), KEYS, fetch=fetch)


@pytest.mark.parametrize(
    ("timestamp", "accepted"),
    [
        ("2026-11-28T10:55:00.000Z", True),  # the last retry
        ("2026-11-27T12:00:01.000Z", True),
        ("2026-11-27T11:59:59.000Z", False),
        ("2026-11-29T12:00:01.000Z", False),
        ("soon", False),
    ],
)
def test_a_message_is_of_the_last_day(timestamp, accepted):
    message = sign(notification(Timestamp=timestamp), *NOTIFICATION)
    with contextlib.nullcontext() if accepted else pytest.raises(BadSignature):
        verify(message)


def test_the_headers_agree_with_the_body():
    message = sign(notification(), *NOTIFICATION)
    right = {
        "x_amz_sns_message_type": "Notification",
        "x_amz_sns_message_id": "m-1",
        "x_amz_sns_topic_arn": TOPIC,
        "x_amz_sns_rawdelivery": "false",
    }
    verify(message, **right)
    for name in ("x_amz_sns_message_type", "x_amz_sns_message_id", "x_amz_sns_topic_arn"):
        with pytest.raises(BadSignature):
            verify(message, **right | {name: "another"})


def test_raw_message_delivery_has_no_signature():
    with pytest.raises(BadSignature, match="turn it off"):
        verify({"eventType": "Open", "mail": {}}, x_amz_sns_rawdelivery="true")


@pytest.mark.parametrize("body", [b"", b"\xff", b"7", b"[]", b"{}", b'{"Type": []}'])
def test_another_body_has_no_signature(body):
    with pytest.raises(BadSignature):
        verify(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*NOTIFICATION, *CONFIRMATION, "SigningCertURL"]), JSON))
def test_no_field_of_a_wrong_type_raises_anything_else(fields):
    with contextlib.suppress(BadSignature):
        verify(sign(notification(), *NOTIFICATION) | fields)
    for message in (fields, confirmation() | fields):
        with contextlib.suppress(UnreadablePayload):
            sns.confirmation_url(request(message))


def test_a_subscription_is_confirmed_by_its_address():
    assert sns.confirmation_url(request(confirmation())) == f"{HOST}/?Action=Confirm&Token=t"
    assert sns.confirmation_url(request(notification())) is None
    assert sns.confirmation_url(request(confirmation(Type="UnsubscribeConfirmation"))) is None


@pytest.mark.parametrize("url", [each for each in NOT_PINNED if "evil" in each or "127" in each])
def test_a_subscription_is_confirmed_at_sns_only(url):
    with pytest.raises(UnreadablePayload):
        sns.confirmation_url(request(confirmation(SubscribeURL=url)))
    with pytest.raises(UnreadablePayload):
        sns.confirm(url)


class Answer(NamedTuple):
    """What the far end says."""

    status: int
    body: bytes = b""

    def read(self, limit):
        return self.body[:limit]


@pytest.fixture
def far_end(monkeypatch):
    """The network's edge: answers in turn, and what was asked."""
    answers, asked = [], []

    class Connection:
        def __init__(self, host, *, timeout, context):
            assert timeout == 5
            assert context.check_hostname
            self.host = host

        def request(self, method, target):
            asked.append((method, self.host, target))

        def getresponse(self):
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        def close(self):
            pass

    monkeypatch.setattr(http.client, "HTTPSConnection", Connection)
    monkeypatch.setattr(sns, "_certificates", type(sns._certificates)())
    return answers, asked


def test_a_certificate_is_asked_for_once(far_end):
    answers, asked = far_end
    answers += [Answer(200, PEM)]
    assert sns.certificate(CERTIFICATE_URL) == sns.certificate(CERTIFICATE_URL) == PEM
    path = "/SimpleNotificationService-0123abcd.pem"
    assert asked == [("GET", "sns.eu-west-1.amazonaws.com", path)]


def test_few_certificates_are_kept(far_end):
    answers, asked = far_end
    for number in range(40):
        answers.append(Answer(200, PEM))
        sns.certificate(f"{HOST}/{number}.pem")
    assert len(sns._certificates) == sns.MAX_CERTIFICATES
    sns.certificate(f"{HOST}/39.pem")
    assert len(asked) == 40


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404),
        Answer(302),
        Answer(503),
        Answer(200, b"x" * (64 * 1024 + 1)),
        TimeoutError(),
        ConnectionResetError(),
        http.client.BadStatusLine("x"),
    ],
)
def test_what_cannot_be_had_now_is_not_kept(far_end, answer):
    answers, _ = far_end
    answers += [answer, Answer(200, PEM)]
    with pytest.raises(Unavailable):
        sns.certificate(CERTIFICATE_URL)
    assert sns.certificate(CERTIFICATE_URL) == PEM


def test_what_the_operating_system_said_is_not_told(far_end):
    answers, _ = far_end
    answers.append(OSError(-2, "Name or service not known"))
    with pytest.raises(Unavailable) as caught:
        sns.certificate(CERTIFICATE_URL)
    assert caught.value.detail == "Amazon SNS could not be reached. Send it again in a moment."
    assert caught.value.retry_after_seconds > 0


def test_confirming_is_one_request(far_end):
    answers, asked = far_end
    answers += [Answer(200, b"<ok/>"), Answer(500)]
    url = sns.confirmation_url(request(confirmation()))
    sns.confirm(url)
    assert asked == [("GET", "sns.eu-west-1.amazonaws.com", "/?Action=Confirm&Token=t")]
    with pytest.raises(Unavailable):
        sns.confirm(url)
