"""Taking out of evidence what would let its reader act as somebody else."""

import pytest

from maild.domain.redaction import KINDS, REMOVED, Redactor, tell

TOKEN = "Ab3-_" * 8 + "xyz"  # 43 characters


@pytest.mark.parametrize(
    ("kind", "text", "clean"),
    [
        ("one_time_links", f"Go to https://m.example/reset/{TOKEN}.", "https://m.example/reset/X."),
        ("one_time_links", f"https://m.example/mail/confirm/{TOKEN}", "/mail/confirm/X"),
        ("one_time_links", f'<a href="/invitations/{TOKEN}">', '"/invitations/X"'),
        ("unsubscribe_tokens", f"<https://m.example/u/{'a-_Z' * 20}>", "/u/X>"),
        ("report_addresses", f"/v1/webhooks/providers/ses/{TOKEN}", "/providers/ses/X"),
        ("report_addresses", f"/v1/webhooks/dsn/{TOKEN}", "/dsn/X"),
        ("bounce_addresses", f"<bounces+{'abcdefghijklmnopqrstuvwxy2'}@x.example>", "bounces+X@x"),
        ("api_keys", "mk_0123456789abcdefABCDEF", "mk_X"),
        ("webhook_secrets", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_X"),
        ("passwords", "smtp://joe:hunter2@relay.example", "smtp://joe:X@relay.example"),
        ("passwords", "501 syntax: AUTH PLAIN AGpvZQBodW50ZXIy", "AUTH PLAIN X"),
        ("passwords", "authorization:  basic QWxhZGRpbjpvcGVu", "authorization:  basic X"),
        ("passwords", '{"Authorization": "Bearer abc.def"}', '"Authorization": "Bearer X"}'),
        ("passwords", "send it as Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI", "as Bearer X"),
        ("one_time_links", f"https://t.example/?to=m%2Freset%2f{TOKEN}", "%2Freset%2fX"),
        ("unsubscribe_tokens", f"https://t.example/?to=m%2Fu%2F{'a-_Z' * 20}", "m%2Fu%2FX"),
        ("bounce_addresses", f"mailto:b%2B{'abcdefghijklmnopqrstuvwxy2'}%40x.example", "b%2BX%40x"),
        ("api_keys", "https://t.example/?to=a%3Dmk_0123456789abcdefABCDEF", "a%3Dmk_X"),
    ],
)
def test_it_takes_secrets_out(kind: str, text: str, clean: str) -> None:
    redactor = Redactor()
    assert clean.replace("X", REMOVED) in redactor.text(text)
    assert redactor.removed == {kind}
    assert tell(redactor.removed) == [KINDS[kind]]


@pytest.mark.parametrize(
    "text",
    [
        "550 5.1.1 <ann@example.org>: user unknown",
        "https://shop.example/u/ann",
        "https://shop.example/reset/your-password",
        "ann+news@example.org",
        "Message 01a2239d-4e2c-7500-8000-0123456789ab at 12:30:10",
        "https://shop.example:8443/a@b",
        "The bearer of this ticket: Bearer of incomprehensibilities",
    ],
)
def test_it_leaves_everything_else(text: str) -> None:
    redactor = Redactor(("hunter2 hunter2",))
    assert redactor.text(text) == text
    assert not redactor.removed


def test_it_looks_everywhere_and_knows_the_instances_own_secrets() -> None:
    redactor = Redactor(("open sesame",))
    value = {"a": ["say open sesame", 1, None], "api_key": "x", "nested": {"smtp_password": "y"}}
    assert redactor.value(value) == {
        "a": [f"say {REMOVED}", 1, None],
        "api_key": REMOVED,
        "nested": {"smtp_password": REMOVED},
    }
