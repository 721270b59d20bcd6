"""How well maild reads real SMTP replies: a score over a corpus that is not part of the project.

The corpus is `bounces/smtp_replies.jsonl` in that folder: per
line a `reply`, and `hard`, true where the address or domain does not exist, has moved or takes no
mail. Prints the share of the hard ones that we would suppress, the share of the others that we
would suppress wrongly, and every line that we get wrong.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from maild.domain.smtp_reply import ErrorClass, Stage, Verdict, classify, of_contact, parse

CORPUS = Path("bounces/smtp_replies.jsonl")
AIM_CAUGHT, AIM_WRONG = 0.90, 0.03


@dataclass(frozen=True, slots=True)
class Sample:
    """A reply, its label, and what maild makes of it."""

    reply: str
    reason: str
    is_hard: bool
    half: int
    verdict: Verdict


def read(text: str) -> Verdict:
    """What maild makes of a reply. The corpus does not say at which stage it came."""
    try:
        return classify(parse(text.splitlines()), Stage.RCPT_TO)
    except ValueError:  # no reply at all, as for a transport that hears nonsense
        return of_contact(ErrorClass.PROTOCOL)


def read_samples(path: Path) -> list[Sample]:
    """Every line of the corpus, judged."""
    samples = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        verdict = read(row["reply"])
        # Halves by the wording: the same reply twice must not stand in both.
        half = crc32(row["reply"].encode()) % 2
        samples.append(Sample(row["reply"], row.get("reason", ""), row["hard"], half, verdict))
    return samples


def rates(samples: Sequence[Sample]) -> tuple[int, int, int, int]:
    """Caught, of how many hard ones; wrongly suppressed, of how many others."""
    hard = [sample for sample in samples if sample.is_hard]
    soft = [sample for sample in samples if not sample.is_hard]
    caught = sum(sample.verdict.suppresses for sample in hard)
    wrong = sum(sample.verdict.suppresses for sample in soft)
    return caught, len(hard), wrong, len(soft)


def report(name: str, samples: Sequence[Sample]) -> bool:
    """Print one line of figures; True where both aims are reached."""
    caught, hard_count, wrong, soft_count = rates(samples)
    caught_share, wrong_share = caught / max(hard_count, 1), wrong / max(soft_count, 1)
    print(
        f"{name:12} caught {caught:3} of {hard_count:3} hard ({caught_share:6.1%}),"
        f" wrongly suppressed {wrong:3} of {soft_count:3} ({wrong_share:5.1%})"
    )
    return caught_share >= AIM_CAUGHT and wrong_share <= AIM_WRONG


def score(corpora: Path) -> bool:
    """Prints the score; whether it reaches the aims."""
    samples = read_samples(corpora / CORPUS)
    for half in (0, 1):
        report(f"half {half}", [sample for sample in samples if sample.half == half])
    is_good = report("all", samples)
    for sample in samples:
        if sample.verdict.suppresses != sample.is_hard:
            kind = "missed" if sample.is_hard else "wrong"
            print(f"  {kind:6} {sample.verdict.error_class:18} {sample.reason:14} {sample.reply}")
    return is_good
