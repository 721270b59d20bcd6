"""How well maild reads real bounce mails: a score over a corpus that is not part of the project.

Run as `python tools/score_bounces.py FOLDER`. The corpus is `bounces/expected.jsonl` in that
folder, with the mails below `bounces/eml/`: per mail its recipients with `reason` and `hardbounce`,
true where the address or domain does not exist, has moved or takes no mail. The labels have no
addresses, so a mail's recipients are compared by number and by how many of them are hard.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

from maild.domain.bounce_mail import Report, read
from maild.domain.provider_event import ProviderEventType as Type

CORPUS = Path("bounces/expected.jsonl")
MAILS = Path("bounces/eml")
AIM_CAUGHT, AIM_WRONG = 0.90, 0.03
FEEDBACK = {
    "abuse": Type.COMPLAINED,
    "fraud": Type.COMPLAINED,
    "virus": Type.COMPLAINED,
    "opt-out": Type.UNSUBSCRIBED,
    "opt-out-list": Type.UNSUBSCRIBED,
}
OTHER_REASONS = {"vacation": {Type.AUTORESPONDED}, "delivered": {Type.DELIVERED, Type.SENT}}


@dataclass(frozen=True, slots=True)
class Sample:
    """A mail, its labels, and what maild makes of it."""

    name: str
    labels: list[dict[str, Any]]
    report: Report | None
    """None where the reading raised."""

    @property
    def half(self) -> int:
        return crc32(self.name.encode()) % 2

    @property
    def hard_count(self) -> int:
        return sum(bool(label["hardbounce"]) for label in self.labels)

    @property
    def our_hard_count(self) -> int:
        return sum(event.is_hard is True for event in self.report.events) if self.report else 0

    @property
    def found_count(self) -> int:
        events = self.report.events if self.report else []
        return min(sum(event.recipient is not None for event in events), len(self.labels))

    @property
    def wrong_types(self) -> list[str]:
        """Reasons whose event should be of another type."""
        types = {event.event_type for event in self.report.events} if self.report else set()
        wrong = []
        for label in self.labels:
            reason = label["reason"]
            if reason == "feedback":
                wanted = {FEEDBACK.get(label["feedbacktype"], Type.UNKNOWN)}
            else:
                wanted = OTHER_REASONS.get(reason, {Type.BOUNCED, Type.DEFERRED})
            if not types & wanted:
                wrong.append(reason)
        return wrong


def read_samples(corpora: Path) -> list[Sample]:
    """Every mail of the corpus, read."""
    samples = []
    for line in (corpora / CORPUS).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        path = corpora / MAILS / row["file"]
        try:
            report = read(path.read_bytes())
        except Exception as error:
            print(f"  raised {path.name}: {error!r}")
            report = None
        samples.append(Sample(path.name, row["recipients"], report))
    return samples


def print_figures(name: str, samples: Sequence[Sample]) -> bool:
    """Print one line of figures; True where the aims are reached."""
    hard = sum(sample.hard_count for sample in samples)
    caught = sum(min(sample.hard_count, sample.our_hard_count) for sample in samples)
    others = sum(len(sample.labels) for sample in samples) - hard
    wrong = sum(max(sample.our_hard_count - sample.hard_count, 0) for sample in samples)
    expected = sum(len(sample.labels) for sample in samples)
    found = sum(sample.found_count for sample in samples)
    raised = sum(sample.report is None for sample in samples)
    mistyped = sum(len(sample.wrong_types) for sample in samples)
    caught_share, wrong_share = caught / max(hard, 1), wrong / max(others, 1)
    print(
        f"{name:7} {len(samples):3} files, {raised} exceptions, recipients {found} of {expected},"
        f" caught {caught:3} of {hard:3} hard ({caught_share:6.1%}),"
        f" wrongly suppressed {wrong:2} of {others:3} ({wrong_share:5.1%}),"
        f" {mistyped} of another kind"
    )
    return caught_share >= AIM_CAUGHT and wrong_share <= AIM_WRONG and raised == 0


def print_miss(sample: Sample) -> None:
    """One line for a mail that we read otherwise than its labels."""
    problems = []
    if sample.our_hard_count < sample.hard_count:
        problems.append("missed")
    if sample.our_hard_count > sample.hard_count:
        problems.append("wrong")
    if sample.wrong_types:
        problems.append("kind")
    if sample.found_count < len(sample.labels):
        problems.append("recipients")
    if not problems or sample.report is None:
        return
    labels = ", ".join(f"{label['reason']} {label['status']}" for label in sample.labels)
    ours = "; ".join(
        f"{event.event_type}/{event.description} {'hard' if event.is_hard else 'soft'}"
        f" {event.recipient} {(event.mta_response or '')[:110]!r}"
        for event in sample.report.events
    )
    print(f"  {'+'.join(problems):10} {sample.name:28} [{labels}] {sample.report.kind}: {ours}")


def score(corpora: Path) -> bool:
    """Print the figures of both halves and of all, and each miss; True where the aims are reached.

    Raises FileNotFoundError where the corpus is not there.
    """
    samples = read_samples(corpora)
    for half in (0, 1):
        print_figures(f"half {half}", [sample for sample in samples if sample.half == half])
    is_good = print_figures("all", samples)
    for sample in samples:
        print_miss(sample)
    return is_good


def main(arguments: Sequence[str]) -> int:
    """0 where the aims are reached, 1 where not, 2 without a corpus."""
    folder = Path(arguments[0]) if arguments and arguments[0] else None
    if folder is None or not (folder / CORPUS).is_file():
        where = f"{folder / CORPUS} is not there" if folder else "no folder given"
        print(f"{where}. Use: python tools/score_bounces.py FOLDER", file=sys.stderr)
        return 2
    return 0 if score(folder) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
