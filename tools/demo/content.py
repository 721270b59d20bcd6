"""What the demo's shop writes, and to whom. Pure: the same `Random`, the same mail.

All domains are reserved ones (RFC 2606, RFC 6761); `maild.local.inbox_rules` knows what some of the
recipients' names make the inbox do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from random import Random
from typing import Any

DOMAIN = "paperboat.example"
SHOP = "Paper Boat"
FROZEN_DOMAIN = "harbour-office.example"
BLOCKED_DOMAINS = ("mailinator.com", "tempmail.com", "throwaway.example")
LETTER, ARRIVALS = "weekly-letter", "new-arrivals"
"""The topics of marketing mail."""

Body = dict[str, Any]
"""A message as the API takes it."""

_GIVEN = """
    Aisha Anna Ben Chiara Daniel Elif Emma Farid Grace Hana Henrik Ines Ivan Jonas Julia Kofi Lena
    Leo Lin Luca Maja Marta Mateo Mira Nadia Noah Olga Omar Paula Pedro Ravi Rosa Samir Sofia Tariq
    Theo Uma Victor Wanja Yara Yusuf Zoe
"""
_FAMILY = """
    Abebe Almeida Bakker Becker Bergman Chen Costa Diallo Duarte Ekström Fischer Garcia Haddad
    Hofmann Ivanova Jansen Kaya Keller Kim Kowalski Lange Lindqvist Marino Mensah Moreau Nakamura
    Novak Okafor Olsen Petrov Qureshi Rossi Sato Schmid Silva Tanaka Vogel Weber Yilmaz Zhang
"""
_MAILBOXES = (
    *("webmail.example", "fastpost.example", "example.com", "example.org", "example.net"),
    *("posthorn.example", "uni-nordhafen.example", "inbox.test", "city-post.example"),
)
_GOODS = (
    ("The Lighthouse Keeper's Almanac", 24.00),
    ("A Short History of Paper", 18.50),
    ("Sea Charts of the North, folded", 32.00),
    ("Notebook, dotted, A5", 9.80),
    ("Fountain pen “Albatross”", 64.00),
    ("Ink, harbour blue, 50 ml", 12.90),
    ("Origami set for rainy days", 15.00),
    ("Wrapping paper, ten sheets", 7.50),
    ("Letter scale, brass", 48.00),
)
_PLAIN = str.maketrans("öüäéß", "ouaes")


@dataclass(frozen=True, slots=True)
class Person:
    """A customer."""

    name: str
    email: str

    @property
    def given(self) -> str:
        return self.name.partition(" ")[0]


def make_customers(rng: Random, count: int) -> list[Person]:
    """So many, each with an address of their own."""
    found: dict[str, Person] = {}
    givens, families = _GIVEN.split(), _FAMILY.split()
    while len(found) < count:
        given, family = rng.choice(givens), rng.choice(families)
        local = f"{given}.{family}".lower().translate(_PLAIN)
        if len(found) % 5 == 4:
            local = f"{given[0]}{family}{rng.randrange(60, 100)}".lower().translate(_PLAIN)
        email = f"{local}@{rng.choice(_MAILBOXES)}"
        found.setdefault(email, Person(f"{given} {family}", email))
    return list(found.values())


def ordered(rng: Random, to: Person) -> Body:
    """A confirmation of an order."""
    number, goods = _order(rng), _basket(rng)
    return _mail(
        to,
        "orders",
        f"Your order {number} is confirmed",
        [f"thank you for your order {number}. We pack it tomorrow morning.", *_lines(goods)],
        tags=["order", "receipt"],
        metadata={"order_id": number, "total": _total(goods), "currency": "EUR"},
    )


def shipped(rng: Random, to: Person) -> Body:
    """A parcel is on its way."""
    number = _order(rng)
    return _mail(
        to,
        "orders",
        rng.choice((f"📦 Your parcel is on its way ({number})", f"Order {number} has left us")),
        [
            f"your order {number} has left our warehouse.",
            f"Follow it here: https://{DOMAIN}/parcels/{number}",
        ],
        tags=["shipping"],
        metadata={"order_id": number, "carrier": rng.choice(("posthorn", "citybike", "northline"))},
    )


def receipt(rng: Random, to: Person) -> Body:
    """A payment has come in."""
    goods, number = _basket(rng), f"R-2026-{rng.randrange(10_000, 99_999)}"
    return _mail(
        to,
        "billing",
        f"Receipt {number}: €{_total(goods):.2f}",
        ["we have received your payment. This is your receipt.", *_lines(goods)],
        tags=["receipt"],
        metadata={"receipt": number, "total": _total(goods), "currency": "EUR"},
    )


def reset(rng: Random, to: Person) -> Body:
    """A link to choose a password."""
    token = f"{rng.getrandbits(96):024x}"
    return _mail(
        to,
        "accounts",
        "Choose a new password",
        [
            "somebody, hopefully you, asked for a new password. The link works for one hour:",
            f"https://{DOMAIN}/password/{token}",
            "If it was not you, there is nothing to do.",
        ],
        tags=["password-reset"],
        metadata={"customer_id": f"c_{rng.randrange(1000, 9999)}"},
    )


def code(rng: Random, to: Person) -> Body:
    """A code to sign in with; of no use after ten minutes."""
    digits = f"{rng.randrange(10**6):06}"
    return _mail(
        to,
        "accounts",
        f"{digits} is your sign-in code",
        [f"your code is {digits}. It is good for ten minutes."],
        tags=["sign-in"],
        metadata={"customer_id": f"c_{rng.randrange(1000, 9999)}"},
    )


def answered(rng: Random, to: Person) -> Body:
    """A person of the support has answered."""
    number = rng.randrange(4_000, 9_000)
    subject = rng.choice(("Where is my parcel?", "Broken cover", "Change of address", "Gift card"))
    return _mail(
        to,
        "support",
        f"Re: {subject} [#{number}]",
        ["thank you for writing. We have looked into it, and send you a replacement today."],
        tags=["support"],
        metadata={"ticket": number},
    )


TRANSACTIONAL: tuple[tuple[int, Callable[[Random, Person], Body]], ...] = (
    (26, ordered),
    (20, shipped),
    (18, receipt),
    (12, reset),
    (16, code),
    (8, answered),
)
"""How often of a hundred, and what."""


def transactional(rng: Random, to: Person) -> Body:
    """Some mail that a shop writes because of what somebody did."""
    weights = [weight for weight, _ in TRANSACTIONAL]
    [(_, write)] = rng.choices(TRANSACTIONAL, weights)
    return write(rng, to)


SUBJECTS = (
    "🚢 Schiff ahoi: Ihre Bestellung ist unterwegs",
    "شكراً لطلبك من Paper Boat رقم ٤٧١١",
    "ההזמנה שלך (מס׳ 4711) נשלחה",
    "ご注文ありがとうございます（注文番号 4711）",
    "Votre reçu : 42,00 € — merci !",
    "🎁🎉 Happy birthday, Zoë! 👩‍👩‍👧 A gift is waiting ❤️",
    "Re: Fwd: Re: " + "a subject that goes on and on, " * 5 + "as subjects of answers do",
)
"""What a page must show well: other scripts, both directions, joined emoji, length."""


def foreign(rng: Random, to: Person, subject: str) -> Body:
    """Mail with one of SUBJECTS."""
    return _mail(to, "orders", subject, ["as always, with kind regards."], tags=["order", "i18n"])


def letter(to: Person) -> Body:
    """The weekly letter."""
    return _campaign(
        to,
        LETTER,
        "☕ Slow mail: five books for the first cold evening",
        "the evenings are longer now, and we have read for you. Five books, and one of them is"
        " about fog.",
        metadata={"campaign": "letter-47"},
    )


def arrivals(to: Person) -> Body:
    """What is new in the shop."""
    return _campaign(
        to,
        ARRIVALS,
        f"{to.given}, the brass letter scales are back",
        "they were sold out in March. Forty have arrived, and we have put one aside for a day.",
        metadata={"campaign": "arrivals-2026-11"},
    )


def _campaign(to: Person, topic: str, subject: str, text: str, *, metadata: Body) -> Body:
    body = _mail(to, "letters", subject, [text, f"https://{DOMAIN}/{topic}"], tags=["newsletter"])
    return {**body, "stream": "marketing", "topic": topic, "metadata": metadata}


def _mail(
    to: Person,
    sender: str,
    subject: str,
    paragraphs: list[str],
    *,
    tags: list[str],
    metadata: Body | None = None,
) -> Body:
    text = "\n\n".join([f"Hello {to.given},", *paragraphs, f"Your {SHOP}"])
    html = "".join(f"<p>{escape(one)}</p>" for one in text.split("\n\n"))
    return {
        "from_email": f"{sender}@{DOMAIN}",
        "from_name": SHOP if sender != "support" else f"Mia of {SHOP}",
        "to_email": to.email,
        "subject": subject,
        "body_text": text + "\n",
        "body_html": f'<html><body style="font-family: Georgia, serif">{html}</body></html>',
        "tags": tags,
        "metadata": metadata or {},
    }


def _order(rng: Random) -> str:
    return f"PB-{rng.randrange(100_000, 999_999)}"


def _basket(rng: Random) -> list[tuple[str, float]]:
    return rng.sample(_GOODS, rng.randrange(1, 4))


def _total(goods: list[tuple[str, float]]) -> float:
    return round(sum(price for _, price in goods), 2)


def _lines(goods: list[tuple[str, float]]) -> list[str]:
    return [f"1 × {title}: €{price:.2f}" for title, price in goods] + [f"Sum: €{_total(goods):.2f}"]
