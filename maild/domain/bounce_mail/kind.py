"""What sort of mail it is: written by a mail system or not, about a failure or a delay.

In charge of sender, subject and set phrases. Not in charge of recipients or of reasons.
"""

import re

from maild.domain.bounce_mail.mail import Part
from maild.domain.provider_event import ProviderEventType

_LOOK = 20_000  # characters of the text that are looked at
_DAEMON = re.compile(
    r"mailer[-_. ]?daemon|mail[-_. ]?delivery|post_?master|mail[-_. ]?daemon|<>|delivery[-_ ]?sub"
    r"|\bdaemon\b|mail administrator|mailsystem|mail system|mdaemon|mmdf|noreply-dsn",
    re.IGNORECASE,
)
_FAILURE_SUBJECT = re.compile(
    r"fail|undeliver|un-deliver|returned mail|return(?:ing|ed) (?:message )?to sender"
    r"|not deliver|non-?deliv|delivery status"
    r"|delivery (?:notif|report|problem|error|delay)|bounce|mail error|error (?:send|deliver|mail)"
    r"|rejected|could ?n.?o?t be|could not send|unable to|delayed mail|unzustellbar"
    r"|nicht zugestellt|non remis|échec|no se pudo|mancata"
    r"|配信|送信できません|不达|退信|не доставлен|недоставлен"
    r"|error sending|user unknown|loop alert|problem with|warning: could",
    re.IGNORECASE,
)
_REPLY_LINE = re.compile(r"^[ \t]{0,8}(?:Out: )?[45]\d\d[ -]", re.MULTILINE)
_FAILURE_TEXT = re.compile(
    r"could not be delivered|couldn't be delivered|was not delivered|wasn't delivered|undeliverable"
    r"|unable to deliver|delivery (?:has )?failed|failed to deliver|permanent (?:fatal )?error"
    r"|cannot be delivered|can't be delivered|returned to sender|recipient address rejected"
    r"|user unknown|unknown user|delivery failure|not be sent|delivery to the following"
    r"|did not reach the following|could not be sent|transcript of session",
    re.IGNORECASE,
)
_DELAY = re.compile(
    r"warning message only|has been delayed|have been delayed|is delayed|not yet been delivered"
    r"|not yet be delivered|will be retried|will continue to (?:try|be tried)|will keep trying"
    r"|still being retried|delivery (?:is )?delay|do not need to resend|don't need to resend"
    r"|delay reason|delivery attempts will continue|will try again|temporarily delayed"
    r"|could not be delivered yet|no action is required on your part",
    re.IGNORECASE,
)
_DELAY_SUBJECT = re.compile(r"delay|warning: could|verzöger|retard|遅延", re.IGNORECASE)
_DELIVERED = re.compile(
    r"(?:has been|was|were|been) successfully (?:delivered|relayed)"
    r"|successfully (?:delivered|relayed) to",
    re.IGNORECASE,
)


def is_report(mail: Part, words: str) -> bool:
    """Whether a mail system wrote it to say that something went wrong."""
    if mail.parameters.get("report-type", "").lower() == "delivery-status":  # RFC 6522 3
        return True
    if mail.value("x-failed-recipients"):
        return True
    sender = f"{mail.value('from')} {mail.value('sender')}"
    # Vacation replies have a null reverse path as well (RFC 3834 3.3), so that alone says nothing.
    is_daemon = bool(_DAEMON.search(sender[:500])) or not mail.value("from").strip()
    return is_daemon and (
        bool(_REPLY_LINE.search(words[:_LOOK])) or sounds_like_report(mail, words)
    )


def sounds_like_report(mail: Part, words: str) -> bool:
    """Whether subject or text are those of a report, whoever sends it."""
    subject = mail.value("subject")[:500]
    has_subject = bool(_FAILURE_SUBJECT.search(subject) or _DELAY_SUBJECT.search(subject))
    return has_subject or bool(_FAILURE_TEXT.search(words[:_LOOK]))


def outcome_of(mail: Part, words: str) -> ProviderEventType:
    """What a report without a machine-readable part tells of."""
    text = words[:_LOOK]
    if _DELAY.search(text) or _DELAY_SUBJECT.search(mail.value("subject")[:500]):
        return ProviderEventType.DEFERRED
    if _DELIVERED.search(text):
        return ProviderEventType.DELIVERED
    return ProviderEventType.BOUNCED
