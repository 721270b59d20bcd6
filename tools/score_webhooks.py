"""How well maild reads what providers really post: a score over a corpus that is no part of maild.

`python -m tools.score_webhooks FOLDER` reads `webhooks/requests.jsonl` in the folder (per line a
whole request, the secrets it was made with, and the `events` that are in it or the `error` it must
be refused with) and `webhooks/signature_vectors.jsonl`. Prints a table by provider and everything
that we get wrong; ends with 1 below the aims.
"""

import base64
import contextlib
import importlib
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urljoin, urlsplit

from maild.domain.provider_event import ProviderEvent
from maild.transports.webhooks.base import BadSignature, Keys, Request, UnreadablePayload
from maild.transports.webhooks.fields import unix_time

REQUESTS = Path("webhooks/requests.jsonl")
VECTORS = Path("webhooks/signature_vectors.jsonl")
AIM_EQUAL = 0.98

MODULES = {"amazon_ses": "ses"}
FIELDS = (
    *("event_type", "reject_reason", "event_id", "message_id", "recipient", "timestamp"),
    *("mta_response", "description", "tags", "metadata", "click_url", "user_agent"),
)
# Not the keys of APIs, but for Unisender Go's, which is what it signs with.
SIGNING_NAME = re.compile("SIGNING|WEBHOOK_KEY|VERIFICATION|INBOUND_SECRET|UNISENDER_GO_API_KEY")
BASIC_AUTH_NAME = "WEBHOOK_SECRET"
URL_NAME = re.compile("WEBHOOK_URL$")
TIME_HEADERS = re.compile(r"-timestamp$")


@dataclass(slots=True)
class Tally:
    """What came out of one provider's rows."""

    equal: int = 0
    expected: int = 0
    refused: int = 0
    to_refuse: int = 0
    accepted: int = 0
    to_accept: int = 0
    out_of_scope: int = 0
    faults: list[str] = field(default_factory=list)


def score(corpora: Path) -> bool:
    """Prints the score over both files; whether it reaches the aims."""
    tallies: defaultdict[str, Tally] = defaultdict(Tally)
    missing = set()
    for row in _rows(corpora / REQUESTS):
        if row["method"] != "POST":
            continue
        provider = urlsplit(row["path"]).path.split("/")[2]
        module = _module(provider)
        if module is None:
            missing.add(provider)
        else:
            _score_row(module, row, tallies[provider])
    vectors = _score_vectors(corpora / VECTORS, missing)
    _print(tallies, vectors, missing)
    total = _sum(tallies.values())
    return (
        not missing
        and total.expected > 0
        and total.equal >= AIM_EQUAL * total.expected
        and total.refused == total.to_refuse
        and total.accepted == total.to_accept
        and vectors.accepted == vectors.to_accept
    )


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _module(provider: str) -> ModuleType | None:
    name = f"maild.transports.webhooks.{MODULES.get(provider, provider)}"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None


def _score_row(module: ModuleType, row: dict[str, Any], tally: Tally) -> None:
    request, keys = request_of(row), keys_of(row)
    try:
        events = module.parse(request)
    except UnreadablePayload as error:
        events, unread = [], str(error)
    else:
        unread = ""
    is_verified = _is_verified(module, request, keys)
    if row["error"] or row["status"] in {400, 401, 403}:
        # "You must set a key": without one there is nothing to accept by.
        is_keyless = bool(row["error"]) and module.SIGNS and not keys.signing
        _score_refusal(row, tally, is_refused=bool(unread) or not is_verified or is_keyless)
        return
    # SNS's signatures in the corpus are made up, and an endpoint of a provider that signs refuses
    # everything while it has no secret, where the corpus only warns.
    if module.TITLE != "Amazon SES" and (keys.signing or keys.basic_auth):
        tally.to_accept += 1
        tally.accepted += is_verified
        if not is_verified:
            tally.faults.append(f"{row['test']}: refused, and should not be")
    expected = row["events"] or []
    # Mail that was received is not for maild: it must only not take it for something else.
    if any(each["signal"] == "inbound" for each in expected):
        tally.out_of_scope += 1
        if events:
            tally.faults.append(f"{row['test']}: received mail is read as {events[0].event_type}")
            tally.expected += 1
        return
    tally.expected += max(len(expected), len(events))
    if len(events) != len(expected):
        tally.faults.append(f"{row['test']}: {len(events)} events, not {len(expected)} {unread}")
    for event, wanted in zip(events, expected, strict=False):
        differences = _differences(event, wanted)
        tally.equal += not differences
        tally.faults += [f"{row['test']}: {each}" for each in differences]


def _score_refusal(row: dict[str, Any], tally: Tally, *, is_refused: bool) -> None:
    # A true event that was sent to the address for received mail: maild has no such address. And
    # what befalls the confirmation of a subscription later on is not in the request.
    error = row["error"] or ""
    if "*inbound* webhook URL" in error or "confirm_subscription" in error:
        tally.out_of_scope += 1
        return
    tally.to_refuse += 1
    tally.refused += is_refused
    if not is_refused:
        tally.faults.append(f"{row['test']}: not refused, with {row['status']} {error}")


def _is_verified(module: ModuleType, request: Request, keys: Keys) -> bool:
    try:
        module.verify(request, keys)
    except BadSignature:
        return False
    return True


def request_of(row: dict[str, Any]) -> Request:
    """The request of a row, as it would come at the time that is signed in it."""
    body = row["body"]
    raw = base64.b64decode(body) if row.get("body_encoding") == "base64" else body.encode()
    # The corpus has the signatures that its tests left as bytes in Python's spelling.
    headers = {
        name.lower(): re.sub(r"^b'(.*)'$", r"\1", value) for name, value in row["headers"].items()
    }
    url = next((v for k, v in row.get("settings", {}).items() if URL_NAME.search(k)), None)
    return Request(
        body=raw,
        content_type=row.get("content_type") or headers.get("content-type", "application/json"),
        headers=headers,
        url=url or urljoin("http://testserver", row.get("path", "")),
        received_at=_signed_time(body, headers) or datetime.now(UTC),
    )


def _signed_time(body: str, headers: dict[str, str]) -> datetime | None:
    """The time in a header, or where Mailgun has it: in JSON, or in a part of a form."""
    given = [value for name, value in headers.items() if TIME_HEADERS.search(name)]
    given += re.findall(r'name="timestamp"\s+(\d{10})\s', body)
    with contextlib.suppress(ValueError, TypeError, KeyError):
        given.append(json.loads(body)["signature"]["timestamp"])
    return next(filter(None, map(unix_time, given)), None)


def keys_of(row: dict[str, Any]) -> Keys:
    """The secrets of a row; a list is a rotation."""
    signing: list[str] = []
    basic_auth: list[str] = []
    for name, value in row["settings"].items():
        values = value if isinstance(value, list) else [value]
        if name == BASIC_AUTH_NAME:
            basic_auth += values
        elif SIGNING_NAME.search(name):
            signing += values
    return Keys(signing=tuple(signing), basic_auth=tuple(basic_auth))


def _differences(event: ProviderEvent, wanted: dict[str, Any]) -> list[str]:
    wanted, metadata = dict(wanted), dict(event.metadata)
    # The corpus's own sender gives SendGrid an id of its own as a unique argument, which SendGrid
    # gives back; its label has that in the place of the Message-ID. For us it is metadata.
    sender_id = metadata.get("anymail_id")
    if sender_id is not None and sender_id == wanted["message_id"]:
        del metadata["anymail_id"]
        wanted["message_id"] = event.message_id
    differences = []
    for name in FIELDS:
        ours = _plain(metadata if name == "metadata" else getattr(event, name), name)
        theirs = _plain(wanted.get(name), name)
        if not _same(ours, theirs):
            differences.append(f"{name} is {ours!r}, not {theirs!r}")
    return differences


def _plain(value: Any, name: str) -> Any:
    """A value without what only differs in spelling: an empty text is nothing, an id is a text, one
    tag is a list of one, and a time is in UTC.
    """
    if name == "tags":
        tags = value if isinstance(value, list | tuple) else [value]
        if len(tags) == 1 and isinstance(tags[0], list):  # a list that was taken for one tag
            tags = tags[0]
        return [str(each) for each in tags if each is not None and each != ""]
    if name == "metadata":
        return dict(value or {})
    if name == "timestamp":
        found = datetime.fromisoformat(value) if isinstance(value, str) else value
        return found and found.astimezone(UTC)
    return None if value is None or value == "" else str(value)


def _same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, datetime):
        # Brevo's have several times. A label is of one of them, and is empty where that one is
        # missing, or in 1970 where seconds stand for milliseconds.
        if theirs is None or theirs.year == 1970:
            return True
        # Some labels leave out the fractions of a second that the payload has.
        return abs((ours - theirs).total_seconds()) < 1
    return bool(ours == theirs)


def _score_vectors(path: Path, missing: set[str]) -> Tally:
    tally = Tally()
    for row in _rows(path):
        provider = row["scheme"].split()[0]
        module = _module(provider)
        if module is None:
            missing.add(provider)
            continue
        keys = Keys(signing=(row.get("public") or row["secret"],))
        is_valid = _is_verified(module, request_of(row), keys)
        tally.to_accept += 1
        tally.accepted += is_valid == row["valid"]
        if is_valid != row["valid"]:
            tally.faults.append(f"{row['scheme']}, {row['name']}: {is_valid}, not {row['valid']}")
    return tally


def _sum(tallies: Any) -> Tally:
    total = Tally()
    for each in tallies:
        for name in Tally.__slots__:
            setattr(total, name, getattr(total, name) + getattr(each, name))
    return total


def _print(tallies: dict[str, Tally], vectors: Tally, missing: set[str]) -> None:
    print(f"{'provider':18}{'events':>12}{'refused':>12}{'accepted':>12}{'not ours':>10}")
    total = _sum(tallies.values())
    for name, tally in [*sorted(tallies.items()), ("all", total)]:
        print(
            f"{name:18}{f'{tally.equal}/{tally.expected}':>12}"
            f"{f'{tally.refused}/{tally.to_refuse}':>12}"
            f"{f'{tally.accepted}/{tally.to_accept}':>12}{tally.out_of_scope:>10}"
        )
    print(f"signature vectors: {vectors.accepted} of {vectors.to_accept} as they should be")
    for fault in [*total.faults, *vectors.faults]:
        print(f"  {fault}")
    for name in sorted(missing):
        print(f"  no module for {name}")
    share = 100 * total.equal / max(total.expected, 1)
    print(
        f"webhooks: {share:.1f} % of {total.expected} events equal (aim {100 * AIM_EQUAL:.0f} %),"
        f" {total.refused} of {total.to_refuse} refused (aim all)"
    )


def main(arguments: Sequence[str]) -> int:
    """The command: the folder of corpora."""
    if len(arguments) != 1:
        print("usage: python -m tools.score_webhooks FOLDER", file=sys.stderr)
        return 2
    return 0 if score(Path(arguments[0])) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
