"""What providers want in the DNS of a sending domain, so that nobody has to look it up. Pure.

Each is as the provider's own pages have it. Where a provider makes names at random, only its own
pages can tell them: there is no guess here then.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProviderDns:
    """`include` is what an SPF record names to allow the provider's servers.

    `selectors` are those that its DKIM keys usually have. `bounces_to_itself`: unless one sets
    up a return path of one's own there, its mail has an envelope sender of the provider's, whose
    SPF record is the provider's matter.
    """

    key: str
    include: str
    selectors: tuple[str, ...]
    hint: str
    bounces_to_itself: bool = True


PROVIDERS = (
    # https://docs.aws.amazon.com/ses/latest/dg/send-email-authentication-dkim-easy.html
    # https://docs.aws.amazon.com/ses/latest/dg/mail-from.html
    ProviderDns(
        "ses",
        "amazonses.com",
        (),
        "Amazon SES names three selectors at random: they stand in its console under Identities,"
        " at the domain, as CNAME records.",
    ),
    # https://www.twilio.com/docs/sendgrid/ui/account-and-settings/how-to-set-up-domain-authentication
    ProviderDns(
        "sendgrid",
        "sendgrid.net",
        ("s1", "s2"),
        "SendGrid shows its CNAME records under Settings, Sender Authentication.",
    ),
    # https://documentation.mailgun.com/docs/mailgun/user-manual/domains/domains-verify
    ProviderDns(
        "mailgun",
        "mailgun.org",
        ("k1", "pic", "mx", "smtp", "krs", "mailo", "email", "mta"),
        "Mailgun shows its records at the domain, under DNS records.",
        bounces_to_itself=False,
    ),
    # https://postmarkapp.com/support/article/1091-how-do-i-set-up-dkim-for-postmark
    ProviderDns(
        "postmark",
        "spf.mtasv.net",
        (),
        "Postmark names its selector after a date, such as 20240131pm: it stands under Sender"
        " Signatures, at the domain.",
    ),
    # https://resend.com/docs/dashboard/domains/introduction
    ProviderDns(
        "resend",
        "amazonses.com",
        ("resend",),
        "Resend shows its records under Domains. Its SPF record belongs to the name send. below"
        " the domain.",
    ),
    # https://support.sparkpost.com/docs/getting-started/setting-up-domains
    ProviderDns(
        "sparkpost",
        "sparkpostmail.com",
        (),
        "SparkPost names its selector after a date, such as scph0524: it stands under Sending"
        " Domains.",
    ),
    # https://help.brevo.com/hc/en-us/articles/12163873383186
    ProviderDns(
        "brevo",
        "spf.brevo.com",
        ("brevo1", "brevo2", "mail"),
        "Brevo shows its records under Senders, Domains & Dedicated IPs.",
    ),
    # https://documentation.mailjet.com/hc/en-us/articles/360042412734
    ProviderDns(
        "mailjet",
        "spf.mailjet.com",
        ("mailjet",),
        "Mailjet shows its records at the domain, under SPF and DKIM authentication.",
    ),
    # https://mailchimp.com/developer/transactional/docs/authentication-delivery/
    ProviderDns(
        "mandrill",
        "spf.mandrillapp.com",
        ("mte1", "mte2", "mandrill"),
        "Mandrill shows its records under Settings, Domains.",
    ),
    # https://www.mailersend.com/help/how-to-verify-and-authenticate-a-sending-domain
    ProviderDns(
        "mailersend",
        "_spf.mailersend.net",
        ("mlsend", "mlsend2"),
        "MailerSend shows its records at the domain, under Domain verification.",
    ),
    # https://docs.mailtrap.io/email-api-smtp/setup/sending-domain
    ProviderDns(
        "mailtrap",
        "_spf.smtp.mailtrap.live",
        ("rwmt1", "rwmt2"),
        "Mailtrap shows its records at the domain, under Domain verification.",
    ),
)


def find(key: str | None) -> ProviderDns | None:
    """What the provider of this key wants; None where that is not known."""
    return next((one for one in PROVIDERS if one.key == key), None)
