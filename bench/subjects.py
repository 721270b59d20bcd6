"""Several hundred subjects, as shops and their campaigns write them: some come all the time, some
seldom, and some for two days only.
"""

import random
from typing import Any

SEED = 20_251_122


def split(words: str) -> list[str]:
    """The words of a text, which reads better than a list of them."""
    return words.split()


_EVENTS = (
    "Your order #{n} is on its way|Your order #{n} has been delivered|We received your order #{n}"
    "|Invoice {n} for your purchase|Your receipt from the shop, #{n}|Reset your password"
    "|Your sign-in code is {n}|New sign-in to your account, {name}|Please confirm your address"
    "|Your parcel {n} waits at the pick-up point|Refund for order #{n}|Your plan renews soon"
    "|Payment failed for invoice {n}|How did we do, {name}?|Order #{n}: one article is delayed"
)
_THINGS = split(
    "backpack bicycle blanket bookshelf camera candle carpet chair clock coat compass curtain "
    "desk drill earphones espresso flashlight glove guitar hammock headset heater jacket kayak "
    "kettle keyboard lamp lantern mattress microscope mirror monitor notebook oven paddle "
    "pencil piano pillow printer projector purse radio razor ring sandal saucepan scarf scooter "
    "shampoo shirt skateboard sneaker sofa speaker stroller suitcase sunglasses table telescope "
    "tent thermos toaster toothbrush trampoline tripod trousers typewriter ukulele umbrella "
    "vacuum violin wallet wardrobe watch wheelbarrow whistle wok xylophone yarn zipper"
)
_STATES = ("is back in stock", "was reserved", "can be collected", "has a new price", "ships late")
_OFFERS = ("for a moment only", "before anybody else", "half the price", "made by hand", "at last")


def list_templates() -> tuple[list[dict[str, Any]], int]:
    """The templates, numbered from 1, and how many of them come all the time: those behind are
    campaigns.
    """
    draw = random.Random(SEED)
    events = [
        _template(subject, "transactional", "orders@shop.example", ["order"])
        for subject in _EVENTS.split("|")
    ]
    # The further behind, the less often: see `library._DRAWN`.
    things = draw.sample(_THINGS, len(_THINGS))
    events += [
        _template(
            f"{{name}}, the {thing} that you looked at {state} ({{n}})",
            "transactional" if number % 3 else "marketing",
            "service@shop.example" if number % 4 else f"desk{number}@shop.example",
            ["stock", f"thing-{thing}"],
        )
        for number, (thing, state) in enumerate(
            (thing, state) for state in _STATES for thing in things
        )
    ]
    campaigns = [
        _template(
            f"{thing.capitalize()} and {other}: {draw.choice(_OFFERS)} – edition {number}",
            "marketing",
            f"news@brand{number % 5}.example",
            ["campaign", f"campaign-{number}"],
            topic="offers",
        )
        for number, (thing, other) in enumerate(
            (draw.choice(_THINGS), draw.choice(_THINGS)) for _ in range(60)
        )
    ]
    templates = events + campaigns
    for number, template in enumerate(templates, start=1):
        template["id"] = number
    return templates, len(events)


def _template(
    subject: str, stream: str, from_email: str, tags: list[str], *, topic: str | None = None
) -> dict[str, Any]:
    fields = {"subject": subject, "stream": stream, "from_email": from_email}
    return {**fields, "tags": tags, "topic": topic}
