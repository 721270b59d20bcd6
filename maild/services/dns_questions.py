"""Asking the DNS until somebody who judges records wants to know no more.

In charge of the rounds and of their bounds, whatever a zone leads to. Not in charge of what is
asked (`domain/`), nor of how (`transports.dns`). No database.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from maild import config
from maild.domain.dns_answer import Answer, Book, Outcome
from maild.transports import dns

ROUNDS_MAX = 12
"""An SPF record leads as deep as it may look up, and one further."""
QUESTIONS_MAX = 80
SECONDS_MAX = 10.0

T = TypeVar("T")


async def settle(judge: Callable[[Book], T]) -> T:
    """What `judge` says once all that it wants of the book has been asked. What is left when a
    bound is reached counts as not answered in time.
    """
    settings = config.current()
    by = dns.resolver(settings.dns_resolvers, timeout_seconds=settings.dns_timeout_seconds)
    book = Book()
    result = judge(book)
    try:
        async with asyncio.timeout(SECONDS_MAX):
            for _ in range(ROUNDS_MAX):
                room = QUESTIONS_MAX - len(book.answers)
                wanted = sorted(book.wanted, key=lambda one: (one.name, one.kind))[:room]
                if not wanted:
                    break
                book.answers.update(await dns.ask(wanted, by=by))
                book.wanted.clear()
                result = judge(book)
    except TimeoutError:
        pass
    while book.wanted:
        book.answers.update((one, Answer(Outcome.TIMEOUT)) for one in book.wanted)
        book.wanted.clear()
        result = judge(book)
    return result
