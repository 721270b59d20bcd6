"""What is sent: one mail of 2 KB, in words rather than in one letter, which would compress."""

WORKSPACE_ID = 1
SENDER = "shop@example.com"
SUBJECT = "Your order is on its way"
TEXT_BYTES = 1_800
"""Of text; headers and SMTP bring the mail to about 2 KB."""

_PROSE = (
    "your order has left our warehouse in this parcel you find what follows please keep the number "
    "until it arrives write to us whenever anything is missing or broken we answer within one day "
    "and replace what came to harm on its journey nobody pays twice for bad luck with kind regards"
)
_WORDS = _PROSE.split()


def _text() -> str:
    lines, number = [], 0
    while sum(map(len, lines)) < TEXT_BYTES:
        # A stride that visits all words in another order each round, the same on every machine.
        words = [_WORDS[(number + place) * 29 % len(_WORDS)] for place in range(12)]
        lines.append(f"{number:>5} {' '.join(words)}\n")
        number += 12
    return "".join(lines)[:TEXT_BYTES]


TEXT = _text()


def recipient(number: int) -> str:
    """One of many addresses at 50 domains."""
    return f"user{number}@example{number % 50}.org"


def message(number: int) -> dict[str, str]:
    """A message as the API takes it."""
    return {
        "from_email": SENDER,
        "to_email": recipient(number),
        "subject": SUBJECT,
        "body_text": TEXT,
    }
