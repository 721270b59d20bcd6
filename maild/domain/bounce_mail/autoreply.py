"""Answers that nobody wrote: vacation replies and the like.

In charge of telling them from bounces and from people. They say nothing against an address.
"""

import re

from maild.domain.bounce_mail.mail import Part

_FIELDS = frozenset(
    {"x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-reply", "x-autoreply-from",
     "x-mail-autoreply", "x-ms-exchange-inbox-rules-loop"}
)  # fmt: skip
_SUBMITTED = re.compile(r"\s{0,5}(?:auto-replied|auto-notified)\b", re.IGNORECASE)
_PRECEDENCE = frozenset({"auto_reply", "auto-reply", "autoreply"})
_SUBJECT = re.compile(
    r"\s{0,5}(?:re: ?)?(?:\[?auto(?:matic|mated|matische?)?[ _:\]-]{0,3}(?:re(?:ply|sponse|spond)"
    r"|antwort|response)|auto:|out of (?:the )?office|i am (?:currently )?(?:out|away|on)"
    r"|on vacation|vacation|away from|abwesen|automatische antwort|réponse automatique"
    r"|absence du bureau"
    r"|respuesta automática|risposta automatica|resposta automática|fuera de la oficina"
    r"|自動応答|自动答复|不在)",
    re.IGNORECASE,
)


def is_autoreply(mail: Part) -> bool:
    """Whether a mail that holds no report is an automatic answer."""
    # RFC 3834 5: a keyword, perhaps comments and parameters; "auto-notified" is RFC 5436 2.7.1.
    if _SUBMITTED.match(mail.value("auto-submitted")):
        return True
    if mail.value("precedence").strip().lower() in _PRECEDENCE:
        return True
    if any(name in _FIELDS and value.lower() != "no" for name, value in mail.fields):
        return True
    return bool(_SUBJECT.match(mail.value("subject")[:300]))
