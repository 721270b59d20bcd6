"""How well maild reads what comes from outside: scores over corpora that are no part of it.

Run by `make score CORPORA=folder`: SMTP replies, bounce mails, and what providers post, as far as
they are there. Ends with 1 where a score is below its aim, with 2 where there is no corpus.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from tools import score_bounces, score_replies, score_webhooks

PARTS = {
    "SMTP replies": (score_replies.CORPUS, score_replies.score),
    "Bounce mails": (score_bounces.CORPUS, score_bounces.score),
    "Webhooks": (score_webhooks.REQUESTS, score_webhooks.score),
}


def main(arguments: Sequence[str]) -> int:
    """0 where every aim is reached, 1 where not, 2 without a corpus."""
    folder = Path(arguments[0]) if arguments and arguments[0] else None
    if folder is None:
        print("CORPORA is not set. Use: make score CORPORA=folder", file=sys.stderr)
        return 2
    there = {name: score for name, (path, score) in PARTS.items() if (folder / path).is_file()}
    for name, (path, _) in PARTS.items():
        if name not in there:
            print(f"{name}: {folder / path} is not there.", file=sys.stderr)
    if not there:
        print("Use: make score CORPORA=folder", file=sys.stderr)
        return 2
    results = {}
    for name, score in there.items():
        print(f"== {name}")
        results[name] = score(folder)
        print()
    below = [name for name, is_good in results.items() if not is_good]
    print(f"Below the aims: {', '.join(below)}" if below else "Every aim is reached.")
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
