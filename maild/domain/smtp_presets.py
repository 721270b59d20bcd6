"""What is known of providers' SMTP servers, so that nobody has to look it up. Pure.

Each is as the provider's own pages have it; what a person has to put in stands in angle brackets.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preset:
    """A provider's server. `hint` says where its credentials are; `host` may hold a place to fill
    in, and `hosts` are the ends of all its hosts.
    """

    key: str
    """As its webhooks are known (`transports.webhooks`)."""
    title: str
    host: str
    username: str
    hint: str
    hosts: tuple[str, ...]
    port: int = 587
    security: str = "starttls"


PRESETS = (
    # https://docs.aws.amazon.com/ses/latest/dg/smtp-connect.html
    Preset(
        "ses",
        "Amazon SES",
        "email-smtp.<region>.amazonaws.com",
        "",
        "Put your region into the host, such as eu-west-1. The SMTP credentials are made in the SES"
        " console; they are not the access keys of AWS.",
        (".amazonaws.com",),
    ),
    # https://www.twilio.com/docs/sendgrid/for-developers/sending-email/integrating-with-the-smtp-api
    Preset(
        "sendgrid",
        "SendGrid",
        "smtp.sendgrid.net",
        "apikey",
        "The user name is the word apikey, and the password an API key that may send mail.",
        ("smtp.sendgrid.net",),
    ),
    # https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages/send-smtp
    Preset(
        "mailgun",
        "Mailgun",
        "smtp.mailgun.org",
        "",
        "In the EU region the host is smtp.eu.mailgun.org. User names and passwords are those of"
        " the domain's SMTP credentials, such as postmaster@ and your domain.",
        (".mailgun.org",),
    ),
    # https://postmarkapp.com/developer/user-guide/send-email-with-smtp
    Preset(
        "postmark",
        "Postmark",
        "smtp.postmarkapp.com",
        "",
        "User name and password are both the server's API token.",
        (".postmarkapp.com",),
    ),
    # https://resend.com/docs/send-with-smtp
    Preset(
        "resend",
        "Resend",
        "smtp.resend.com",
        "resend",
        "The user name is the word resend, and the password an API key.",
        ("smtp.resend.com",),
        port=465,
        security="tls",
    ),
    # https://support.sparkpost.com/docs/getting-started/getting-started-sparkpost
    Preset(
        "sparkpost",
        "SparkPost",
        "smtp.sparkpostmail.com",
        "SMTP_Injection",
        "In the EU region the host is smtp.eu.sparkpostmail.com. The password is an API key that"
        " may send via SMTP.",
        (".sparkpostmail.com",),
    ),
    # https://help.brevo.com/hc/en-us/articles/7924908994450
    Preset(
        "brevo",
        "Brevo",
        "smtp-relay.brevo.com",
        "",
        "Login and SMTP key stand in Brevo under SMTP & API.",
        ("smtp-relay.brevo.com",),
    ),
    # https://dev.mailjet.com/smtp-relay/configuration/
    Preset(
        "mailjet",
        "Mailjet",
        "in-v3.mailjet.com",
        "",
        "The user name is the API key, and the password the secret key.",
        (".mailjet.com",),
    ),
    # https://mailchimp.com/developer/transactional/docs/smtp-integration/
    Preset(
        "mandrill",
        "Mandrill",
        "smtp.mandrillapp.com",
        "",
        "The user name is the account's address, and the password an API key.",
        (".mandrillapp.com",),
    ),
    # https://www.mailersend.com/help/smtp-relay
    Preset(
        "mailersend",
        "MailerSend",
        "smtp.mailersend.net",
        "",
        "User name and password are those of an SMTP user of the domain.",
        (".mailersend.net",),
    ),
    # https://docs.mailtrap.io/email-api-smtp/setup/smtp-integration
    Preset(
        "mailtrap",
        "Mailtrap",
        "live.smtp.mailtrap.io",
        "api",
        "The user name is the word api, and the password an API token. The host for bulk mail is"
        " bulk.smtp.mailtrap.io.",
        (".mailtrap.io",),
    ),
)


def find(key: str | None) -> Preset | None:
    """The preset of this key; None where there is none."""
    return next((preset for preset in PRESETS if preset.key == key), None)


def of_host(host: str) -> Preset | None:
    """The provider to which a host belongs, as far as its name tells."""
    name = host.lower().rstrip(".")
    return next((preset for preset in PRESETS if name.endswith(preset.hosts)), None)
