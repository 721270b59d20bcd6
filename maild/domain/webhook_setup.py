"""What to do at a provider so that it reports to a webhook endpoint, in plain sentences. Pure.

The names of pages, buttons and events are the providers' own, as of the pages named beside them.
Opens and clicks are left out: they prove a delivery, which a delivery's own event says already.
"""

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from maild.domain.networks import Guard
from maild.domain.provider_event import DSN

SES = "ses"
"""The one whose events come through a topic, and whose signatures need no secret."""

SAVE_SECRET = "{save_secret}"
BY_API = {
    "save_secret": "Save it here with POST /v1/webhooks/endpoints/secrets, kind signing.",
    "save_basic_auth": "save USER:PASSWORD here with POST /v1/webhooks/endpoints/secrets, kind"
    " basic_auth",
}
"""How a secret is saved, by a call."""
BY_PAGE = {
    "save_secret": "Save it on this page, as its signing secret.",
    "save_basic_auth": "save a user name and a password on this page",
}
"""The same for who reads it in the console."""

STEPS: dict[str, tuple[str, ...]] = {
    # https://docs.aws.amazon.com/ses/latest/dg/configure-sns-notifications.html
    # https://docs.aws.amazon.com/ses/latest/dg/event-publishing-add-event-destination-sns.html
    SES: (
        "In the Amazon SNS console, open the topic {topic_arn}, which must be of the type Standard,"
        " and create a subscription: protocol HTTPS, endpoint {url}",
        "Leave raw message delivery off: it takes the signature away.",
        "The subscription confirms itself within seconds; nothing need be clicked.",
        "In the Amazon SES console, have bounces, complaints and deliveries published to this"
        " topic: either as feedback notifications of the identity that you send from, with the"
        " original headers included, or as an event destination of a configuration set, with the"
        " events Delivery, Bounce, Complaint, Reject and DeliveryDelay. Not both: each event would"
        " come twice.",
        "A configuration set works for mail that is sent with it: make it the identity's default.",
    ),
    # https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook
    "sendgrid": (
        "In SendGrid, open Settings, Mail Settings, Event Webhooks, and create a webhook.",
        "Paste this as its Post URL: {url}",
        "Tick the deliverability events Delivered, Deferred, Bounced and Dropped, and Spam Reports,"
        " Unsubscribes and Group Unsubscribes.",
        "Enable Signed Event Webhook, save, and copy the verification key. " + SAVE_SECRET,
    ),
    # https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhooks
    "mailgun": (
        "In Mailgun, open Send, Sending, Webhooks, choose the domain that you send from, and add a"
        " webhook for each of these events: Delivered Messages, Permanent Failure, Temporary"
        " Failure, Spam Complaints, Unsubscribes.",
        "Paste this as the URL of every one: {url}",
        "Copy the HTTP webhook signing key from the account's menu, API Security. " + SAVE_SECRET,
    ),
    # https://postmarkapp.com/developer/webhooks/webhooks-overview
    "postmark": (
        "In Postmark, choose the server and its message stream, open Webhooks, and add a webhook.",
        "Paste this as its Webhook URL: {url}",
        "Tick Delivery, Bounce, Spam Complaint and Subscription Change.",
        "Do the same for every stream that you send through, with the same URL.",
    ),
    # https://resend.com/docs/webhooks/introduction
    "resend": (
        "In Resend, open Webhooks and add a webhook.",
        "Paste this as its Endpoint URL: {url}",
        "Choose the events email.sent, email.delivered, email.delivery_delayed, email.bounced,"
        " email.complained, email.failed and email.suppressed.",
        "Copy the signing secret, whsec_..., from the webhook's page. " + SAVE_SECRET,
    ),
    # https://developers.sparkpost.com/api/webhooks/
    "sparkpost": (
        "In SparkPost, open Configuration, Webhooks, and create a webhook.",
        "Paste this as its Target: {url}",
        "Select the events Delivery, Bounce, Delay, Policy Rejection, Out of Band, Generation"
        " Failure, Generation Rejection, Spam Complaint, List Unsubscribe and Link Unsubscribe.",
    ),
    # https://developers.brevo.com/docs/how-to-use-webhooks
    # https://help.brevo.com/hc/en-us/articles/360007666479
    "brevo": (
        "In Brevo, open the webhooks of transactional email (Transactional, Settings, Webhook), and"
        " add a new webhook.",
        "Paste this as its URL: {url}",
        "Tick Sent, Delivered, Deferred, Soft bounce, Hard bounce, Invalid email, Error, Complaint,"
        " Unsubscribed and Blocked.",
    ),
    # https://dev.mailjet.com/email/guides/webhooks/
    "mailjet": (
        "In Mailjet, open Account settings, REST API, Event notifications (triggers).",
        "Paste this as the Endpoint URL of the events Sent, Bounce, Spam, Blocked and Unsub: {url}",
        "Tick Group events for each, so that many come in one request.",
    ),
    # https://mailchimp.com/developer/transactional/guides/track-respond-activity-webhooks/
    "mandrill": (
        "In Mandrill, open Settings, Webhooks, and add a webhook.",
        "Tick Message Is Sent, Is Delayed, Is Delivered, Is Bounced, Is Soft-Bounced, Is Rejected,"
        " Is Marked As Spam, and Recipient Unsubscribes.",
        "Post To URL must be exactly this, letter by letter, since Mandrill signs it too: {url}",
        "Copy the webhook's key from the list of webhooks. " + SAVE_SECRET,
    ),
    # https://www.mailersend.com/help/webhooks
    # https://developers.mailersend.com/api/v1/account/webhooks.html
    "mailersend": (
        "In MailerSend, open the domain that you send from, and add a webhook to it.",
        "Paste this as its Endpoint URL: {url}",
        "Choose the events activity.sent, activity.delivered, activity.soft_bounced,"
        " activity.hard_bounced, activity.deferred, activity.spam_complaint and"
        " activity.unsubscribed, as far as your plan offers them.",
        "Once it is saved, reveal and copy its signing secret. " + SAVE_SECRET,
    ),
    # https://docs.postalserver.io/developer/webhooks
    "postal": (
        "In Postal, open the mail server, Webhooks, and add a webhook.",
        "Paste this as its URL: {url}",
        "Choose the events MessageSent, MessageDelayed, MessageDeliveryFailed, MessageHeld and"
        " MessageBounced.",
        "On the Postal host, run postal default-dkim-record, and copy what follows p=. "
        + SAVE_SECRET,
    ),
    # https://docs.mailtrap.io/email-api-smtp/advanced/webhooks
    "mailtrap": (
        "In Mailtrap, open the settings of Email Sending, Webhooks, and create a webhook for the"
        " sending stream and the domain that you send through.",
        "Paste this as its URL: {url}",
        "Choose the events delivery, soft_bounce, bounce, suspension, reject, spam_complaint and"
        " unsubscribe.",
        "If the webhook's page shows a signing secret, copy it: requests are then checked by it. "
        + SAVE_SECRET,
    ),
    # https://godocs.unisender.ru/web-api-ref#callback-format
    "unisender_go": (
        "In Unisender Go, add a webhook: under Settings, Webhooks, if you send with the account's"
        " API key, or in the project's settings if you send with a project's.",
        "Paste this as its Notification URL: {url}",
        "Set Event format to json_post, Use single event to No, and Additional information about"
        " delivery to Yes.",
        "Choose the events sent, delivered, soft_bounced, hard_bounced, unsubscribed and spam.",
        "Its requests are signed with the API key that it belongs to. " + SAVE_SECRET,
    ),
    # maild's own format: transports/webhooks/maild.py
    "maild": (
        "Have your relay, script or workflow tool post its events to {url}",
        "The body is JSON: one object or an array of them, each with type, email, message_id (the"
        " id that maild gave the message, or its Message-ID) and event_id.",
        "Send the time in unix seconds as X-Webhook-Timestamp, and as X-Webhook-Signature v1= and"
        " the hex HMAC-SHA256 of that time, a dot and the body, under a secret of your own making. "
        + SAVE_SECRET,
    ),
    # RFC 3464, RFC 5965
    DSN: (
        "Give the SMTP account a return_path, whose mailbox these bounces come to: the envelope"
        " sender (Return-Path) of each message is made of it, and tells which one came back."
        " Without it, bounces go to the sender of each message.",
        "Have the mail system of that mailbox post each mail, as it is, with the Content-Type"
        " message/rfc822, to {url}",
        "For example, with an alias that pipes to a script: curl --fail --silent --show-error"
        " --header 'Content-Type: message/rfc822' --data-binary @- {url} || exit 75. The 75 has the"
        " mail system keep a mail that could not be posted, and try again.",
        "Abuse reports go to the address that you have registered with a feedback loop: have them"
        " posted too.",
    ),
}

SIGNS_NOTHING = {
    "postmark": "Postmark signs nothing.",
    "sparkpost": "SparkPost signs nothing.",
    "brevo": "Brevo signs nothing.",
    "mailjet": "Mailjet signs nothing.",
    "mailtrap": "Without a signing secret, Mailtrap signs nothing.",
}
BASIC_AUTH_GOES = {
    "postmark": "give the user name and the password as the webhook's basic auth credentials.",
    "sparkpost": "choose Basic Auth, and give the user name and the password.",
    DSN: "with curl, add --user USER:PASSWORD.",
}
INTO_THE_URL = (
    "put the user name and the password into the URL, as in https://USER:PASSWORD@..., with special"
    " characters percent-encoded."
)
"""Where a provider has no fields for them."""


def steps(
    provider: str,
    *,
    url: str,
    topic_arn: str | None = None,
    has_basic_auth: bool = False,
    ways: Mapping[str, str] = BY_API,
) -> list[str]:
    """What to do, in order; what every provider needs for one that is not known here. `ways` are
    BY_API or BY_PAGE.
    """
    known = STEPS.get(provider, ("Have the provider post its events to {url}",))
    return [
        *(text.format(url=url, topic_arn=topic_arn, **ways) for text in known),
        *_basic_auth(provider, has_basic_auth, ways),
        *_address(url),
    ]


def _basic_auth(provider: str, has_basic_auth: bool, ways: Mapping[str, str]) -> Iterator[str]:
    where = BASIC_AUTH_GOES.get(provider, INTO_THE_URL)
    if has_basic_auth:
        yield f"This endpoint wants basic authentication: {where}"
    elif provider in SIGNS_NOTHING:
        yield (
            f"{SIGNS_NOTHING[provider]} Only the URL tells who reports then, so basic"
            f" authentication is advised: {ways['save_basic_auth']}, and {where}"
        )


def _address(url: str) -> Iterator[str]:
    host = urlsplit(url).hostname or ""
    if not url.startswith("https://") or Guard().objection_to_host(host) is not None:
        yield (
            "Providers cannot reach this URL, which is local or not https: set PUBLIC_URL to the"
            " https address of this instance, and use the URL that the endpoint has then."
        )
