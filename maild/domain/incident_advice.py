"""Incidents in words: what goes wrong in a line, its likely cause, and what to do about it. Pure.

Written for somebody who is woken by it and does not know maild by heart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from maild.domain.incident import IncidentKind
from maild.domain.reply_classes import ErrorClass

MANUAL_TITLE = "A message that somebody wants looked into"


@dataclass(frozen=True, slots=True)
class Advice:
    """Whole sentences."""

    likely_cause: str
    suggested_action: str


_FAMILY_WORDS = {
    "google": "Gmail",
    "microsoft": "Outlook.com and Hotmail",
    "yahoo": "Yahoo and AOL",
    "apple": "iCloud",
    "proton": "Proton Mail",
}
# What the servers do, after their name.
_REFUSALS = {
    ErrorClass.INVALID_RECIPIENT: "says that recipients do not exist",
    ErrorClass.INVALID_DOMAIN: "takes no mail",
    ErrorClass.INACTIVE_MAILBOX: "says that mailboxes are closed",
    ErrorClass.MAILBOX_FULL: "says that mailboxes are full",
    ErrorClass.RATE_LIMITED: "says that we send too much, too fast",
    ErrorClass.POLICY: "refuses mail by a rule of its own",
    ErrorClass.SPAM_CONTENT: "takes our mail for spam",
    ErrorClass.REPUTATION: "does not trust our domain or address",
    ErrorClass.GREYLISTED: "puts mail off, to see whether we come again",
    ErrorClass.AUTH: "does not accept our sign-in",
    ErrorClass.TLS: "cannot be reached over an encrypted connection",
    ErrorClass.DNS: "cannot be found: its name does not resolve",
    ErrorClass.CONNECTION: "refuses or drops connections",
    ErrorClass.TIMEOUT: "does not answer in time",
    ErrorClass.PROTOCOL: "answers in a way that makes no sense",
    ErrorClass.MESSAGE_TOO_LARGE: "says that messages are too large",
}


def family_words(family: str) -> str:
    """A family of recipient domains as people call it."""
    return _FAMILY_WORDS.get(family, family)


def class_words(error_class: str | None) -> str:
    """`does not accept our sign-in`: what goes after the name of whoever says it."""
    return _REFUSALS.get(error_class or "", "refuses or puts off mail")  # type: ignore[call-overload,no-any-return]


def title_of(
    kind: IncidentKind,
    *,
    error_class: str | None,
    smtp_account: str | None,
    recipient_domain: str | None,
) -> str:
    """What goes wrong, in a line, for what is counted; states bring their own line."""
    account = f"“{smtp_account}”" if smtp_account else "An SMTP account"
    if kind is IncidentKind.UNKNOWN_OUTCOMES:
        return f"{account}: contact is lost before the last answer, again and again"
    if kind is IncidentKind.PROVIDER:
        return f"{account} {class_words(error_class)}"
    through = f", through {account}" if smtp_account else ""
    if recipient_domain is None:
        return f"Many domains: the server {class_words(error_class)}{through}"
    return f"{family_words(recipient_domain)} {class_words(error_class)}{through}"


def breaker_title(smtp_account: str, error_class: str | None) -> str:
    """Of an account that is out of use. It stays true after that, while the incident goes on."""
    why = f": it {class_words(error_class)}" if error_class else ""
    return f"“{smtp_account}” went out of use{why}"


_ACCOUNT = "The standby takes over by itself where there is one."
_RETRY = "Then retry what has failed, from this incident."

# Told by a server on the path: our provider.
_PROVIDER = {
    ErrorClass.AUTH: Advice(
        "The provider does not accept the user name or password of the account: it was changed or"
        " revoked there, or the provider has suspended the account.",
        "Log in at the provider and see whether the account is in good standing. Then save the"
        " right password under Providers; maild tries it within seconds. " + _ACCOUNT,
    ),
    ErrorClass.TLS: Advice(
        "No encrypted connection comes about: the certificate has expired or names another host, or"
        " the security setting does not fit the port.",
        "Check the account under Providers, which shows the step that fails. Port 465 goes with"
        " TLS, port 587 with STARTTLS. If the certificate is bad, call the provider.",
    ),
    ErrorClass.DNS: Advice(
        "The name of the provider's server cannot be resolved: a typing error in the host, or the"
        " resolver of this machine is down.",
        "Look whether other names resolve from this machine. If they do, compare the host under"
        " Providers with what the provider says.",
    ),
    ErrorClass.CONNECTION: Advice(
        "The provider's server refuses connections or drops them: an outage there, or a firewall in"
        " between.",
        "Look at the provider's status page, and check the account under Providers. If it lasts,"
        " switch to another account. " + _ACCOUNT,
    ),
    ErrorClass.TIMEOUT: Advice(
        "The provider's server does not answer in time: it is overloaded, or a firewall swallows"
        " the connection.",
        "Look at the provider's status page. Some networks block port 25 outwards: try port 587."
        " If it lasts, switch to another account.",
    ),
    ErrorClass.RATE_LIMITED: Advice(
        "The account sends more than the provider allows by the second, the hour or the day.",
        "maild slows down by itself. See under Providers whether the account's own limit fits"
        " what you pay for; freeze marketing mail for now, so that the rest gets through.",
    ),
    ErrorClass.REPUTATION: Advice(
        "The provider, or a blocklist that it asks, does not trust the address or domain that the"
        " mail comes from.",
        "Read the reply for the list's name and look your domain up there. Freeze marketing mail,"
        " check SPF, DKIM and DMARC under Domains, and ask the provider to lift the block.",
    ),
    ErrorClass.POLICY: Advice(
        "A rule of the provider forbids the mail: most often the From address or domain is not"
        " verified there.",
        "Compare the From address in the samples with what is verified at the provider, and check"
        " the domain under Domains.",
    ),
}
_PROVIDER_OTHER = Advice(
    "The provider answers all kinds of mail with the same refusal, so the trouble lies there, not"
    " with recipients: most often an outage or maintenance.",
    "Read the sample replies, and look at the provider's status page. If it lasts, switch to"
    " another account; what was put off is tried again by itself.",
)
# Told of some recipients.
_DELIVERY = {
    ErrorClass.INVALID_RECIPIENT: Advice(
        "Addresses that do not exist: an old or a bought list, or a form without confirmation.",
        "Look where these addresses come from, and stop that campaign. They are suppressed already;"
        " undo that here if the server was wrong.",
    ),
    ErrorClass.INVALID_DOMAIN: Advice(
        "The domain has no mail server, or says that it takes no mail: mistyped, or given up.",
        "Look at the addresses in the samples. If the domain is right, its owner has to mend it;"
        " try again when that is done.",
    ),
    ErrorClass.INACTIVE_MAILBOX: Advice(
        "Mailboxes that were closed or disabled: the list is old, or the company shut them down.",
        "Leave these recipients out. If it is a company that you know, ask whether something went"
        " wrong there, and retry then.",
    ),
    ErrorClass.MAILBOX_FULL: Advice(
        "Mailboxes are over their quota. Many at once means that the server's own disk is full.",
        "Nothing, for single mailboxes: maild tries again. If all of a domain are full, tell its"
        " postmaster, and retry when it is mended.",
    ),
    ErrorClass.RATE_LIMITED: Advice(
        "The recipients' servers take less from us in an hour than we send.",
        "Lower the limit per recipient domain in the policy, or freeze marketing mail to this"
        " domain for some hours. What was put off is tried again by itself.",
    ),
    ErrorClass.POLICY: Advice(
        "A rule of the recipients' servers refuses the mail: often missing SPF, DKIM or DMARC, or a"
        " block by hand.",
        "Check the sending domain under Domains, and read the sample replies for a link. " + _RETRY,
    ),
    ErrorClass.SPAM_CONTENT: Advice(
        "The recipients' servers take the content for spam: a link, an attachment, or a template"
        " that has changed lately.",
        "Compare with what was sent before it began, below. Stop that template, and do not retry"
        " it unchanged: that makes it worse.",
    ),
    ErrorClass.REPUTATION: Advice(
        "The recipients' servers do not trust our domain or the provider's address: a blocklist, or"
        " complaints about earlier mail.",
        "Freeze marketing mail to this domain. Check SPF, DKIM and DMARC under Domains, look for"
        " the list that the reply names, and use another account for what is urgent.",
    ),
    ErrorClass.GREYLISTED: Advice(
        "The servers put unknown senders off for some minutes, on purpose.",
        "Nothing: maild comes again, and mail gets through. If it goes on for hours, ask their"
        " postmaster to let the provider's addresses through.",
    ),
    ErrorClass.MESSAGE_TOO_LARGE: Advice(
        "Messages are larger than the recipients' servers take.",
        "Send a link in place of the attachment, and resend.",
    ),
    ErrorClass.DNS: Advice(
        "The recipients' domains do not resolve at the moment: their name servers are down.",
        "Nothing, for a while: maild tries again. If it lasts for a day, their owner should know.",
    ),
    ErrorClass.CONNECTION: Advice(
        "The recipients' servers cannot be reached from the provider: an outage there.",
        "Nothing, for a while: maild tries again. Look at their status page if it is a large one.",
    ),
    ErrorClass.TIMEOUT: Advice(
        "The recipients' servers do not answer the provider in time: an outage there.",
        "Nothing, for a while: maild tries again. Look at their status page if it is a large one.",
    ),
}
_DELIVERY_OTHER = Advice(
    "The servers refuse or put off these messages, in words that maild does not know.",
    "Read the sample replies: most name a reason or a link. If mail through another account gets"
    " through, switch to that one.",
)
_KINDS = {
    IncidentKind.UNKNOWN_OUTCOMES: Advice(
        "Connections break after the message is out and before the server has answered: a firewall"
        " that cuts idle connections, or a provider that is overloaded.",
        "Do not retry blindly: these messages may have arrived. Look them up at the provider, then"
        " say for each whether it was sent, or retry those that may come twice.",
    ),
    IncidentKind.SILENT_PROVIDER: Advice(
        "Mail goes out, and the provider's reports do not come in, or are refused: the webhook was"
        " switched off there, its address or secret has changed, or a firewall is in between.",
        "Compare the webhook at the provider with the address and secret under Providers, and send"
        " a test event from there. Until then bounces and complaints go unseen: hold marketing.",
    ),
    IncidentKind.DEAD_LETTERS: Advice(
        "The provider reports in a form that maild cannot read, or on messages that maild does not"
        " know: a new format, or an endpoint that another system uses as well.",
        "Open Dead letters and read why. Nothing is lost: mend the cause, then replay them.",
    ),
    IncidentKind.CONSERVATION: Advice(
        "There are not as many messages as were accepted: rows were deleted or added by hand, or a"
        " backup was restored in part.",
        "Stop whoever changes the database by hand. Compare with the latest backup, as the"
        " operations manual says under Conservation, and keep this database as it is until then.",
    ),
    IncidentKind.DOMAIN: Advice(
        "The DNS records of a sending domain are not what they were: somebody changed the zone, or"
        " it has expired.",
        "Open Domains, which shows the record to paste for what is missing, and check again after"
        " the change.",
    ),
    IncidentKind.MANUAL: Advice(
        "Somebody has opened this by hand; what they saw is in the timeline.",
        "Open the message and read its timeline and decision. Write down what you find as a note.",
    ),
}


def advise(kind: IncidentKind, error_classes: Sequence[str | None]) -> Advice:
    """What to tell of an incident with signals of these classes, the most telling first."""
    if kind in _KINDS:
        return _KINDS[kind]
    table, other = (
        (_PROVIDER, _PROVIDER_OTHER)
        if kind is IncidentKind.PROVIDER
        else (_DELIVERY, _DELIVERY_OTHER)
    )
    known = (table[ErrorClass(name)] for name in error_classes if name in set(table))
    return next(known, other)
