"""An independent opinion on signatures: dkimpy's, with a DNS made of the keys' records."""

import re
from collections.abc import Mapping

import dkim


def dns_of(records: Mapping[str, str]):  # type: ignore[no-untyped-def]
    """A function that answers as dkimpy wants its DNS to: from these TXT records alone."""
    answers = {f"{name}.".encode(): value.encode() for name, value in records.items()}
    return lambda name, timeout=5: answers.get(name)


def verdicts(message: bytes, records: Mapping[str, str]) -> list[bool]:
    """Whether each signature of a message holds, from the top of the message on."""
    checker = dkim.DKIM(message, minkey=1024)
    found = []
    for index in range(len(signatures(message))):
        try:
            found.append(checker.verify(idx=index, dnsfunc=dns_of(records)))
        except dkim.ValidationError:  # what it says of another body
            found.append(False)
    return found


def signatures(message: bytes) -> list[dict[str, str]]:
    """The tags of each DKIM-Signature of a message."""
    head = re.sub(r"\r\n[ \t]+", " ", message.partition(b"\r\n\r\n")[0].decode())
    fields = re.findall(r"(?im)^dkim-signature:(.*?)\r?$", head)
    return [
        {
            name.strip(): "".join(value.split())
            for name, _, value in (tag.partition("=") for tag in field.split(";"))
        }
        for field in fields
    ]
