"""What is said beyond a provider's own steps: basic authentication, and URLs that cannot work."""

import pytest

from maild.domain import webhook_setup

URL = "https://mail.example.com/v1/webhooks/x/token"


@pytest.mark.parametrize(
    ("provider", "where"),
    [
        ("postmark", "as the webhook's basic auth credentials"),
        ("sparkpost", "choose Basic Auth"),
        ("brevo", "https://USER:PASSWORD@"),
        ("mailjet", "https://USER:PASSWORD@"),
        ("mailtrap", "https://USER:PASSWORD@"),
    ],
)
def test_those_who_sign_nothing_say_so_and_what_to_do_instead(provider: str, where: str) -> None:
    *_, told = webhook_setup.steps(provider, url=URL)
    assert "signs nothing" in told
    assert "basic authentication is advised" in told
    assert "kind basic_auth" in told
    assert where in told


@pytest.mark.parametrize("provider", sorted(webhook_setup.STEPS))
def test_what_an_endpoint_has_is_not_advised(provider: str) -> None:
    told = webhook_setup.steps(provider, url=URL, has_basic_auth=True)
    assert told[-1].startswith("This endpoint wants basic authentication: ")
    assert "advised" not in " ".join(told)


@pytest.mark.parametrize("provider", ["sendgrid", "ses", "dsn", "pigeon"])
def test_nothing_is_advised_where_it_is_not_needed(provider: str) -> None:
    assert "basic auth" not in " ".join(webhook_setup.steps(provider, url=URL)).lower()


def test_bounce_mails_need_a_return_path() -> None:
    assert "return_path" in webhook_setup.steps("dsn", url=URL)[0]


@pytest.mark.parametrize(
    "base",
    [
        "http://mail.example.com",
        "http://127.0.0.1:8080",
        "https://127.0.0.1:8443",
        "https://localhost",
        "https://[::1]",
        "https://10.0.0.5/maild",
    ],
)
@pytest.mark.parametrize("has_basic_auth", [False, True])
def test_an_address_that_no_provider_reaches_is_told_last(base: str, has_basic_auth: bool) -> None:
    told = webhook_setup.steps("brevo", url=f"{base}/v1/x", has_basic_auth=has_basic_auth)
    assert told[-1].startswith("Providers cannot reach this URL")
    assert "PUBLIC_URL" in told[-1]


@pytest.mark.parametrize("base", ["https://mail.example.com:8443/a", "https://localhost.example"])
def test_any_other_address_is_not_complained_of(base: str) -> None:
    assert "PUBLIC_URL" not in " ".join(webhook_setup.steps("brevo", url=f"{base}/v1/x"))
