"""Whether a sending domain takes mail: bounces and answers come to it. Pure."""

from maild.domain.dns_answer import Book, Kind, Outcome, why_unknown
from maild.domain.dns_finding import NOTHING_THERE, CheckName, Finding, Paste, State

_NULL = "."


def check(book: Book, domain: str) -> Finding:
    """The MX records of a domain, or the address that stands in for them (RFC 5321 5.1)."""
    answer = book.look_up(domain, Kind.MX)
    if not answer.is_known:
        return Finding(CheckName.MX, State.UNKNOWN, why_unknown(answer).rstrip("."), domain)
    hosts = [record.rpartition(" ")[2] for record in answer.records]
    if hosts == [_NULL]:
        # RFC 7505 4.2: receivers may refuse mail from a domain that takes none.
        return Finding(
            CheckName.MX,
            State.BAD,
            "It says that it takes no mail",
            domain,
            found=answer.records,
            meaning=("Receivers may refuse mail from a domain that nobody can answer to.",),
        )
    if hosts:
        is_plural = len(hosts) > 1
        return Finding(
            CheckName.MX,
            State.OK,
            "In order",
            domain,
            found=answer.records,
            meaning=(f"Mail to it goes to {len(hosts)} server{'s' if is_plural else ''}.",),
        )
    return _without_mx(book, domain, is_no_name=answer.outcome is Outcome.NO_NAME)


def _without_mx(book: Book, domain: str, *, is_no_name: bool) -> Finding:
    if is_no_name:
        return Finding(CheckName.MX, State.BAD, NOTHING_THERE, domain)
    paste = Paste(domain, "MX", "10 <your mail server>", "The server that takes your mail.")
    addresses = [book.look_up(domain, kind) for kind in (Kind.A, Kind.AAAA)]
    unanswered = [one for one in addresses if not one.is_known]
    if unanswered:
        return Finding(CheckName.MX, State.UNKNOWN, why_unknown(unanswered[0]).rstrip("."), domain)
    if any(one.records for one in addresses):
        return Finding(
            CheckName.MX,
            State.WARN,
            "There is no MX record; its address stands in",
            domain,
            meaning=(
                "Mail to it goes to the address of the domain itself. Is a mail server there?",
            ),
            paste=(paste,),
        )
    return Finding(
        CheckName.MX,
        State.BAD,
        "It takes no mail",
        domain,
        meaning=("Bounces and answers are lost, and receivers may refuse mail from it.",),
        paste=(paste,),
    )
