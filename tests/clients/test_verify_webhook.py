"""The Python client checks what maild signs, and believes nothing else."""

import base64
import json

import pytest

from maild.domain import standard_webhooks
from maild_client import WebhookRefused, verify_webhook

SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four b").decode()
OTHER = "whsec_" + base64.b64encode(b"another of as many bytes.").decode()
BODY = json.dumps({"type": "incident.opened"}).encode()
NOW = 1_800_000_000


def signed(*secrets: str, at: int = NOW) -> dict[str, str]:
    return standard_webhooks.headers("n_1", at, BODY, secrets)


def test_it_believes_what_maild_signs_with_any_of_the_secrets() -> None:
    assert verify_webhook(BODY, signed(SECRET), SECRET, now=NOW) == {"type": "incident.opened"}
    assert verify_webhook(BODY, signed(OTHER, SECRET), SECRET, now=NOW)
    assert verify_webhook(BODY, signed(SECRET), [OTHER, SECRET], now=NOW)
    titled = {name.title(): value for name, value in signed(SECRET).items()}
    assert verify_webhook(BODY, titled, SECRET, now=NOW)


@pytest.mark.parametrize(
    ("body", "headers", "now"),
    [
        (BODY + b" ", {}, NOW),
        (BODY, {"webhook-id": "n_2"}, NOW),
        (BODY, {"webhook-timestamp": str(NOW + 1)}, NOW),
        (BODY, {"webhook-timestamp": "soon"}, NOW),
        (BODY, {"webhook-timestamp": "9" * 400}, NOW),
        (BODY, {"webhook-timestamp": "9" * 5_000}, NOW),
        (BODY, {"webhook-signature": "v1,AAAA"}, NOW),
        (BODY, {"webhook-signature": ""}, NOW),
        (BODY, {"webhook-id": ""}, NOW),
        (BODY, {}, NOW + 301),
        (BODY, {}, NOW - 301),
    ],
)
def test_it_believes_nothing_else(body: bytes, headers: dict[str, str], now: float) -> None:
    with pytest.raises(WebhookRefused):
        verify_webhook(body, {**signed(SECRET), **headers}, SECRET, now=now)


def test_it_does_not_believe_another_secret() -> None:
    with pytest.raises(WebhookRefused):
        verify_webhook(BODY, signed(OTHER), SECRET, now=NOW)


@pytest.mark.parametrize("secret", ["not base64!", "nicht wählbar", "whsec_", ""])
def test_what_is_no_secret_proves_nothing(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        verify_webhook(BODY, signed("whsec_"), secret, now=NOW)
