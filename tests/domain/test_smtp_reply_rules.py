"""The wordings of the world's mail servers, in samples of our own: which of them suppress.

`make score` measures the same on real ones.
"""

import pytest

from maild.domain import reply_rules
from maild.domain.reply_words import plain_words
from maild.domain.smtp_reply import Stage, classify, parse

NOBODY_THERE = """
550 5.1.1 <a@example.com>... User Unknown
550 5.1.1 <a@example.com>: Recipient address rejected: User unknown in local recipient table
550 5.7.1 <a@example.com>: Recipient address rejected: User unknown in virtual mailbox table
550 <a@example.com>: Recipient address rejected: User unknown in relay recipient table
450 4.1.1 <a@example.com>: Recipient address rejected: User unknown in virtual alias table
550 <a@example.com>: Recipient address rejected.
550 5.1.1 <a@example.com> User doesn't exist: a@example.com
550 5.1.1 a@example.com Address does not exist
550 5.1.1 RESOLVER.ADR.ExRecipNotFound; not found
550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup
550 5.4.1 Recipient address rejected: Access denied. [X.mail.example 2024-01-02T03:04:05.678Z 08D]
550 5.5.0 Requested action not taken: mailbox unavailable (S1).
550-5.1.1 The email account that you tried to reach does not exist. Please try
550 Unknown local part a in <a@example.com>
550 unrouteable address
550 Mailbox not found
554 Sorry, no mailbox here by that name. (#5.1.1)
550 a@example.com is not listed in Domino Directory
550 5.1.1 <a@example.com>: Email address could not be found, or was misspelled (G8)
550 #5.1.0 Address rejected.
550 5.1.1 Not our customer
554 delivery error: dd This user doesn't have an example.com account (a@example.com) [0]
553 5.3.0 <a@example.com>... No such user here
550 invalid recipient
550 Invalid Recipient - https://help.example.com/spam/policy
550 User a is not known at this site
550 That account was not found
550 Account closed
550 5.2.1 This mailbox has been deleted
551 5.1.6 The user has moved
550 This address is no longer in use
550 5.1.1 <a@example.com>: inactive email address
550 5.1.2 <a@example.com>... Host unknown (Name server: example.com: host not found)
550 5.4.4 The domain is invalid
550 The domain does not accept mail (nullMX)
521 5.3.2 System not accepting network messages
550 5.5.0 Adresse destinataire invalide
550 Utilisateur inconnu
550 Benutzer nicht bekannt
550 Usuario desconocido
550 Destinatario sconosciuto
550 <spam-policy-blocked@example.com>: no such user
550 no such user (in reply to MAIL FROM command)
5.1.0 - Unknown address error 550-'5.1.1 <a@example.com>... User Unknown'
"""

SOMEBODY_MAY_BE_THERE = """
550 Refused
550 5.2.1 <a@example.com>... User Unknown
550 5.0.0 <a@example.com>... User unknown
550 5.7.1 <a@example.com>: Recipient address rejected: User unknown
550 Unknown user a@example.com
550 : User unknown
450 User unknown
550 5.2.1 The email account that you tried to reach is disabled.
550 The account is suspended
550 <a@example.com>: User a@example.com temporarily locked
525 5.7.13 Recipient address disabled
552 5.1.1 sorry, mailbox a@example.com is over quota temporarily (#5.1.1)
550-5.2.1 The user you are trying to contact is receiving mail at a rate that
550 5.1.1 <a@example.com> - 192.0.2.1 has sent to too many recipients this hour
550 5.1.1 Refused due to recipient preferences
554 5.7.1 <a@example.com>: Relay access denied
553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)
554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using bl.example.org
553 http://www.spamhaus.org/query/bl?ip=192.0.2.1
550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Part of their network is listed
550 5.7.25 [192.0.2.1] The IP address sending this message does not have a PTR record setup
550 5.7.515 Access denied, sending domain example.org does not meet the required level
550 Bad SPF records for [example.org:192.0.2.2]
550 5.1.1 This message does not pass DMARC verification
550-Verification failed for <b@example.org> 550-No such user here 550 Sender verify failed
553 5.1.8 <b@example.org>... Domain of sender address b@example.org does not exist
550 5.1.7 No such domain mx.example.org.
550 5.7.1 Unknown sender
550 Sender's mailbox does not exist
550 HELO host does not exist
550 5.1.1 Too many unknown recipients from your address
550 5.1.1 Message content rejected as spam
550 5.1.1 Blocked
554 Message rejected: Email address is not verified.
550 5.7.1 RESOLVER.RST.AuthRequired; sender must sign in
550 Invalid user name or password
554 5.3.0 mail.local: /var/mail/a: No such file or directory
550 TLS 1.0 is no longer supported
554 Unknown or unexpected error
550 5.4.312 Message expired: DNS failed
450 4.1.2 <a@example.com>: Recipient address rejected: Domain not found
"""


def suppresses(line):
    start = line if line[3] in " -" else f"550 {line}"
    return classify(parse([start]), Stage.RCPT_TO).suppresses


@pytest.mark.parametrize("line", NOBODY_THERE.strip().splitlines())
def test_it_suppresses_where_nobody_is(line):
    assert suppresses(line)


@pytest.mark.parametrize("line", SOMEBODY_MAY_BE_THERE.strip().splitlines())
def test_it_does_not_suppress_for_any_other_complaint(line):
    assert not suppresses(line)


def wordings():
    families = (*reply_rules._FAMILIES, *reply_rules._LATE_FAMILIES)
    return [(meaning, wording) for meaning, words in families for wording in words.split("|")]


def test_every_wording_can_be_met():
    """None has a word that `plain_words` takes away, nor is hidden by a wording before it."""
    met: list[str] = []
    for _, wording in wordings():
        # The last word may be the beginning of one that is no little word.
        text = wording if wording.endswith((" ", "@")) else f"{wording}zz"
        assert plain_words(text).strip() == text.strip(), wording
        assert not [other for other in met if other in f" {wording}"], wording
        met.append(f" {wording}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The user <a@example.com> doesn't exist!", " user @ does not exist "),
        ("User\nunknown, 5.1.1 [192.0.2.1]", " user unknown "),
        ("USER_UNKNOWN; non-existent", " user unknown non existent "),
        (": User unknown", " : user unknown "),
        ("<a@example.com>: User unknown", " @ user unknown "),
        ("see https://example.com/spam", " see "),
        ("see https://www.spamhaus.org/x", " see blacklist "),
        ("no (in reply to RCPT TO command)", " no "),
        ("", "  "),
    ],
)
def test_it_keeps_the_words_that_matter(text, words):
    assert plain_words(text) == words
