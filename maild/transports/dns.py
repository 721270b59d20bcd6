"""Questions to the DNS, through the resolver of the system or those of the settings.

In charge of telling apart what is not there, what servers cannot tell, and what takes too long; of
asking again by TCP where an answer is cut off; and of a bound on time and size. Not in charge of
what records mean (`domain/`). Names go to the resolver and nowhere else: nothing is dialled.
"""

import asyncio
from collections.abc import Sequence

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.TXT
import dns.resolver

from maild.domain.dns_answer import Answer, Kind, Outcome, Question
from maild.setting_kinds import Addr

AT_ONCE_MAX = 16
"""Questions of one caller that are open at the same time."""
RECORDS_MAX = 50
"""Of an answer, so many are kept, the same ones each time: servers send them in any order."""
TEXTS_MAX = 500
"""As RECORDS_MAX, of TXT records: large organisations prove a hundred things by one name."""
RECORD_MAX_CHARS = 4_000


def resolver(servers: Sequence[Addr], *, timeout_seconds: float) -> dns.asyncresolver.Resolver:
    """One that asks these servers, or without any those of the system.

    `timeout_seconds` is for a question with all that it takes: other servers, and TCP.
    """
    try:
        made = dns.asyncresolver.Resolver(configure=not servers)
    except dns.resolver.NoResolverConfiguration:
        made = dns.asyncresolver.Resolver(configure=False)
    if servers:
        made.nameservers = [dns.nameserver.Do53Nameserver(one.host, one.port) for one in servers]
    made.lifetime = timeout_seconds
    # One server that is silent leaves time to ask again, for a datagram may be lost.
    made.timeout = timeout_seconds / 2
    made.search = []
    return made


async def ask(
    questions: Sequence[Question], *, by: dns.asyncresolver.Resolver
) -> dict[Question, Answer]:
    """All of them at the same time, but for AT_ONCE_MAX; it takes about as long as the slowest."""
    turn = asyncio.Semaphore(AT_ONCE_MAX)

    async def one(question: Question) -> tuple[Question, Answer]:
        async with turn:
            return question, await _ask(question, by)

    return dict(await asyncio.gather(*(one(question) for question in questions)))


async def _ask(question: Question, by: dns.asyncresolver.Resolver) -> Answer:
    try:
        name = dns.name.from_text(question.name)
        found = await by.resolve(name, question.kind.value, raise_on_no_answer=False, search=False)
    except dns.resolver.NXDOMAIN:
        return Answer(Outcome.NO_NAME)
    except (dns.resolver.NoAnswer, dns.name.EmptyLabel, dns.name.LabelTooLong):
        return Answer(Outcome.NO_DATA)  # what is no name has no records
    except dns.name.NameTooLong:
        return Answer(Outcome.NO_DATA)
    except dns.exception.Timeout:
        return Answer(Outcome.TIMEOUT)
    except (dns.exception.DNSException, OSError, EOFError):
        return Answer(Outcome.SERVER_FAILURE)
    alias = found.canonical_name.to_text(omit_final_dot=True).lower()
    records = sorted(_text(rdata) for rdata in found.rrset or ())
    most = TEXTS_MAX if question.kind is Kind.TXT else RECORDS_MAX
    return Answer(
        Outcome.FOUND if records else Outcome.NO_DATA,
        tuple(records[:most]),
        None if alias == question.name else alias,
    )


def _text(rdata: object) -> str:
    if isinstance(rdata, dns.rdtypes.ANY.TXT.TXT):
        # RFC 7208 3.3 and RFC 6376 3.6.2.2: the strings of a record are one text.
        text = b"".join(rdata.strings).decode("utf-8", "backslashreplace")
        return text.replace("\0", "\\x00")[:RECORD_MAX_CHARS]
    if isinstance(rdata, dns.rdtypes.ANY.MX.MX):
        host = rdata.exchange.to_text(omit_final_dot=True).lower()
        return f"{rdata.preference} {host or '.'}"
    return str(rdata)[:RECORD_MAX_CHARS]
