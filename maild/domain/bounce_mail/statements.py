"""The replies and sentences in the text of a report.

In charge of where each begins and ends, and of the SMTP command that it is said to answer. Not in
charge of what it means (`reason`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from maild.domain.smtp_reply import Stage

_STATEMENT_LIMIT = 1500  # characters
_STATEMENT_COUNT = 40
_STATEMENT_LINES = 12
_TEXT_LIMIT = 30_000

# A reply code begins a line or follows what an MTA puts before a quotation, or an enhanced code
# stands behind it. Any other number may be a port, a size or a time.
_CODE = re.compile(
    r"(?:^|[:;,>\[(<'\"{]\s{0,3}|\bsaid\s|\berror\s|\bcode\s|\bresponse\s|\bstatus\s)[\s'\"(<\[]{0,3}"
    r"([45]\d\d)(?=[- :>,;.'\")\]]|$)(?![-.:]\d\d?[-.:]?\d)"
    r"|(?<![\w.:/-])([45]\d\d)(?=[- #:(]{1,3}[45]\.\d\.\d|-['\"])",
    re.IGNORECASE,
)
# Between a code and its text. A colon that stands alone belongs to the text: ": User unknown".
_REPLY_TEXT = re.compile(r"[-:#>,;.'\")\]]{0,3}\s{0,3}['\"]?(?:#(?=\d))?")
_NEW_STATEMENT = re.compile(r"\s*(?:<<<|>>>|-{3,}|={3,}|\*{3,}|giving up on)", re.IGNORECASE)
_QUOTED_COMMAND = re.compile(r"\s*(?:>>>|C:|In:)\s*([A-Za-z]{4}(?: FROM| TO)?)", re.IGNORECASE)

# What MTAs write to say which command was refused: Postfix, Exim, DragonFly, gateways.
_STAGE = re.compile(
    r"(?:in reply to|in response to|reply to|response to|after|did not like our|following|during)"
    r"(?: sending| the| your| our)?[ :]{1,2}"
    r"(mail from|mail|rcpt|end of data|data|helo|ehlo|lhlo|initial connection|connect|starttls"
    r"|auth|banner)\b"
    r"|(?:\bsmtp:|\bsmtp command\W{1,5}|[\[(])(rcpt|mail|data|helo|ehlo)"
    r"(?:[_ ]to|[_ ]from)?[\])\s]",
    re.IGNORECASE,
)
# In words. qmail-remote: https://github.com/notqmail/notqmail/blob/main/qmail-remote.c. Gmail's
# states 12 to 14 are MAIL and RCPT.
_STAGE_WORDS = (
    ("does not like recipient", Stage.RCPT_TO),
    ("(state 13)", Stage.RCPT_TO),
    ("(state 14)", Stage.RCPT_TO),
    ("(state 12)", Stage.MAIL_FROM),
    ("but sender was rejected", Stage.MAIL_FROM),
    ("failed after i sent the message", Stage.FINAL_DOT),
)
_STAGES = {
    "mail": Stage.MAIL_FROM,
    "mail from": Stage.MAIL_FROM,
    "rcpt": Stage.RCPT_TO,
    "rcpt to": Stage.RCPT_TO,
    "data": Stage.DATA,
    "end of data": Stage.FINAL_DOT,
}


@dataclass(frozen=True, slots=True)
class Statement:
    """A reply, or a sentence without a code, as a report quotes it."""

    code: int | None
    text: str
    stage: Stage | None = None
    """What it answers, where the report says so."""


def statements(text: str) -> Iterator[Statement]:
    """The replies in a text first, then its paragraphs, in order."""
    text = text[:_TEXT_LIMIT]
    lines = text.splitlines()[:400]
    replies: list[Statement] = []
    paragraphs: list[str] = []
    spoken = stage_of(text)
    quoted: Stage | None = None
    index = 0
    paragraph: list[str] = []
    while index < len(lines) and len(replies) < _STATEMENT_COUNT:
        line = lines[index][:_STATEMENT_LIMIT]
        command = _QUOTED_COMMAND.match(line)
        if command:
            quoted = _STAGES.get(command[1].lower())
        found = _CODE.search(line)
        if found:
            code = found[1] or found[2]
            index, joined = _joined(lines, index, line[found.end() :], code)
            replies.append(Statement(int(code), joined, quoted or spoken))
            continue
        if line.strip() and not _NEW_STATEMENT.match(line):
            paragraph.append(line.strip())
        elif paragraph:
            paragraphs.append(" ".join(paragraph))
            paragraph = []
        index += 1
    if paragraph:
        paragraphs.append(" ".join(paragraph))
    yield from replies
    for words in paragraphs[:_STATEMENT_COUNT]:
        yield Statement(None, words[:_STATEMENT_LIMIT], spoken)


def _joined(lines: list[str], index: int, rest: str, code: str) -> tuple[int, str]:
    """The text of a reply that goes on over the next lines, and the line after it."""
    texts = [rest[_text_start(rest) :]]
    stop = index + 1
    for line in lines[index + 1 : index + _STATEMENT_LINES]:
        if not line.strip() or _NEW_STATEMENT.match(line):
            break
        again = _CODE.match(line.strip())
        if again:
            if (again[1] or again[2]) != code:
                break
            more = line.strip()[again.end() :]
            texts.append(more[_text_start(more) :])
        else:
            texts.append(line.strip())
        stop += 1
    return stop, " ".join(texts)[:_STATEMENT_LIMIT]


def _text_start(rest: str) -> int:
    match = _REPLY_TEXT.match(rest)
    return match.end() if match else 0


def stage_of(text: str) -> Stage | None:
    """The command that was refused, where a text says it."""
    match = _STAGE.search(text)
    if match:
        return _STAGES.get((match[1] or match[2]).lower(), Stage.BANNER)
    lowered = text.lower()
    for words, stage in _STAGE_WORDS:
        if words in lowered:
            return stage
    return None
