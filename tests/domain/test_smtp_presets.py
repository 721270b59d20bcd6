"""What is known of providers' servers."""

import pytest

from maild.domain import smtp_presets
from maild.domain.smtp_presets import PRESETS
from maild.transports import webhooks


def test_each_is_known_by_the_name_that_its_webhooks_have():
    keys = [preset.key for preset in PRESETS]
    assert len(keys) == len(set(keys))
    assert set(keys) <= set(webhooks.PROVIDERS)


def test_each_encrypts_and_is_known_again_by_its_host():
    for preset in PRESETS:
        assert (preset.port, preset.security) in {(587, "starttls"), (465, "tls")}
        assert smtp_presets.of_host(preset.host) is preset
        assert smtp_presets.find(preset.key) is preset


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("email-smtp.eu-west-1.amazonaws.com", "ses"),
        ("SMTP.SENDGRID.NET.", "sendgrid"),
        ("smtp.eu.mailgun.org", "mailgun"),
        ("bulk.smtp.mailtrap.io", "mailtrap"),
    ],
)
def test_a_host_tells_whose_it_is(host, key):
    assert smtp_presets.of_host(host).key == key


@pytest.mark.parametrize("host", ["", "smtp.example.com", "mailgun.org.example.com", "127.0.0.1"])
def test_a_host_of_nobody_known(host):
    assert smtp_presets.of_host(host) is None


def test_there_is_no_such_preset():
    assert smtp_presets.find("nobody") is None
    assert smtp_presets.find(None) is None
