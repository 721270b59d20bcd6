"""Amazon SNS: whether a request is SNS's, for one topic, and the confirmation of a subscription.

Signatures: https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
Envelopes: https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
Retries: https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html

Everyone's SNS messages are signed with the same keys, so it is the topic, which is signed too, that
tells ours from others'. It is compared first, and no address is fetched but one of SNS's own.
"""

import http.client
import re
import ssl
import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import SplitResult, urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from maild import log
from maild.errors import Unavailable
from maild.transports.webhooks.base import (
    BadSignature,
    Keys,
    Request,
    UnreadablePayload,
    load_json,
    same,
)
from maild.transports.webhooks.fields import iso_time, text
from maild.transports.webhooks.public_keys import unbase64

NOTIFICATION = "Notification"
CONFIRMATION = "SubscriptionConfirmation"
END_CONFIRMATION = "UnsubscribeConfirmation"

# The fields that are signed, in this order; Subject where there is one.
SIGNED_FIELDS = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    CONFIRMATION: (
        *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
}
SIGNED_FIELDS[END_CONFIRMATION] = SIGNED_FIELDS[CONFIRMATION]
OPTIONAL_FIELDS = {"Subject"}
# By SignatureVersion. SHA-1 is what SNS signs with unless the topic's owner chooses otherwise.
ALGORITHMS = {"1": SHA1(), "2": SHA256()}  # noqa: S303  # nosec B303
# What the headers repeat of the body.
HEADERS = {
    "x-amz-sns-message-type": "Type",
    "x-amz-sns-message-id": "MessageId",
    "x-amz-sns-topic-arn": "TopicArn",
}
# SNS tries for an hour at most, after which a request is none of its. The rest is for clocks.
MAX_AGE = timedelta(days=1)

HOST = re.compile(r"sns\.[a-z]{2}(-[a-z]{1,12}){1,3}-[0-9]{1,2}\.amazonaws\.com(\.cn)?")
CERTIFICATE_PATH = re.compile(r"/[A-Za-z0-9_-]{1,100}\.pem")
PRINTABLE = re.compile(r"[!-\[\]-~]{1,2000}")
TIMEOUT_SECONDS = 5
MAX_ANSWER_BYTES = 64 * 1024
MAX_CERTIFICATES = 16

Fetch = Callable[[str], bytes]

logger = log.get(__name__)


def verify(request: Request, keys: Keys, *, fetch: Fetch | None = None) -> None:
    """Raises BadSignature unless SNS sent this for the topic in `keys`, and Unavailable where the
    certificate cannot be had now. `fetch` gets a certificate by its address.
    """
    if not keys.topic_arn:
        raise BadSignature("no topic is set")
    message = _envelope_or_refuse(request)
    if not same(text(message.get("TopicArn")) or "", keys.topic_arn):
        raise BadSignature("the topic is another one")
    for header, field in HEADERS.items():
        given = request.headers.get(header)
        if given is not None and given != message.get(field):
            raise BadSignature(f"the header {header} does not agree with the body")
    _check_age(message, request.received_at)
    algorithm = ALGORITHMS.get(text(message.get("SignatureVersion")) or "")
    if algorithm is None:
        raise BadSignature("the signature is of a version that is not known")
    signed, signature = _signed(message), unbase64(text(message.get("Signature")) or "")
    url = text(message.get("SigningCertURL")) or ""
    if not signature or not is_certificate_url(url):
        raise BadSignature("the signature is missing, or its certificate is not SNS's")
    key = _key((fetch or certificate)(url), request.received_at)
    try:
        key.verify(signature, signed, PKCS1v15(), algorithm)
    except InvalidSignature:
        raise BadSignature("the signature does not fit the message") from None


def _envelope_or_refuse(request: Request) -> dict[str, Any]:
    if request.headers.get("x-amz-sns-rawdelivery", "").lower() == "true":
        raise BadSignature(
            "raw message delivery leaves the signature out: turn it off for this subscription"
        )
    try:
        message = load_json(request.body)
    except UnreadablePayload as error:
        raise BadSignature(f"there is no signature: {error}") from None
    if not isinstance(message, dict) or text(message.get("Type")) not in SIGNED_FIELDS:
        raise BadSignature("this is not an SNS message")
    return message


def _check_age(message: dict[str, Any], now: datetime) -> None:
    sent_at = iso_time(message.get("Timestamp"))
    if sent_at is None or abs(now - sent_at) > MAX_AGE:
        raise BadSignature("the message's time is more than a day off")


def _signed(message: dict[str, Any]) -> bytes:
    lines = []
    for field in SIGNED_FIELDS[message["Type"]]:
        value = message.get(field)
        if value is None and field in OPTIONAL_FIELDS:
            continue
        if not isinstance(value, str):
            raise BadSignature(f"the field {field} is missing")
        lines += [field, value]
    # Half a surrogate pair cannot have been signed by SNS.
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def _key(pem: bytes, now: datetime) -> RSAPublicKey:
    """The key in a certificate. TLS to SNS's own host vouches for the certificate itself."""
    try:
        found = x509.load_pem_x509_certificate(pem)
        key = found.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadSignature("the certificate cannot be read") from None
    if not found.not_valid_before_utc <= now <= found.not_valid_after_utc:
        raise BadSignature("the certificate is not valid now")
    if not isinstance(key, RSAPublicKey):
        raise BadSignature("the certificate's key is not an RSA key")
    return key


def envelope(message: Any) -> dict[str, Any] | None:
    """The message where it is an SNS envelope of any type, else None."""
    if isinstance(message, dict) and text(message.get("Type")) in SIGNED_FIELDS:
        return message if isinstance(message.get("Message"), str) else None
    return None


def is_certificate_url(url: str) -> bool:
    """Whether this is an address of a certificate of SNS's."""
    parts = _pinned(url)
    return parts is not None and not parts.query and bool(CERTIFICATE_PATH.fullmatch(parts.path))


def _pinned(url: str) -> SplitResult | None:
    """The parts of an https address on a host of SNS's; None for any other."""
    if not PRINTABLE.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    # The whole authority is compared, so there is no user in it and no port but the default.
    host = parts.netloc.removesuffix(":443")
    is_pinned = parts.scheme == "https" and HOST.fullmatch(host) and "#" not in url
    return parts if is_pinned else None


def confirmation_url(request: Request) -> str | None:
    """The address that confirms a subscription; None in a message of another type. Call it for a
    verified request only. Raises UnreadablePayload where the address is not SNS's.
    """
    message = envelope(load_json(request.body))
    if message is None or message["Type"] != CONFIRMATION:
        return None
    url = text(message.get("SubscribeURL")) or ""
    if _pinned(url) is None:
        raise UnreadablePayload("the address that confirms the subscription is not SNS's")
    return url


def confirm(url: str) -> None:
    """Confirms a subscription by its `confirmation_url`. Raises Unavailable."""
    _get(url)


def fetch_certificate(url: str) -> bytes:
    """A certificate of SNS's, as PEM. Raises Unavailable where it cannot be had now."""
    if not is_certificate_url(url):
        raise BadSignature("the certificate is not SNS's")
    return _get(url)


_certificates: OrderedDict[str, bytes] = OrderedDict()
_lock = threading.Lock()


def certificate(url: str) -> bytes:
    """As `fetch_certificate`, which the last few addresses are not asked for again."""
    with _lock:
        if url in _certificates:
            _certificates.move_to_end(url)
            return _certificates[url]
    pem = fetch_certificate(url)
    with _lock:
        _certificates[url] = pem
        while len(_certificates) > MAX_CERTIFICATES:
            _certificates.popitem(last=False)
    return pem


def _get(url: str) -> bytes:
    parts = _pinned(url)
    if parts is None:
        raise UnreadablePayload("the address is not SNS's")
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    connection = http.client.HTTPSConnection(
        parts.netloc.removesuffix(":443"),
        timeout=TIMEOUT_SECONDS,
        context=ssl.create_default_context(),
    )
    try:
        connection.request("GET", target or "/")
        # Redirects are not followed: http.client never does.
        answer = connection.getresponse()
        body = answer.read(MAX_ANSWER_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        logger.warning("sns.unreachable", host=parts.netloc, reason=str(error))
        raise Unavailable("Amazon SNS could not be reached. Send it again in a moment.") from None
    finally:
        connection.close()
    if answer.status != http.client.OK or len(body) > MAX_ANSWER_BYTES:
        raise Unavailable(f"Amazon SNS answered {answer.status} with {len(body)} bytes.")
    return body
