"""What people do in the demo, through the API: accounts, policy, suppressions, freezes, single
messages; and recipients who unsubscribe.
"""

import uuid
from datetime import timedelta
from random import Random
from typing import Any
from urllib.parse import urlsplit

from maild import clock
from maild.models import Message
from maild.services import unsubscribe_links
from maild.services.unsubscribe_links import Link
from tools.demo import content, providers
from tools.demo.cast import Cast
from tools.demo.content import Person
from tools.demo.plan import SUPPRESSED, Planned, Stage, Window
from tools.demo.stack import Found, Http, Refused
from tools.demo.traffic import Traffic

FREEZE_HOURS = 5
_FIRST_POLICY = {
    "rate_limit_workspace_per_hour": 20_000,
    "rate_limit_domain_per_hour": 5_000,
    "on_limit": "defer",
    "blocked_recipient_domains": list(content.BLOCKED_DOMAINS[:2]),
    "allowed_from_domains": [content.DOMAIN],
    "marketing": {"max_attempts": 3},
    "reason": "first rules of the shop",
}
ONE_CLICK, EVERYTHING = 6, 3
"""So many leave a topic with one click, and so many all marketing mail by the page's button."""


class Desk:
    """An admin of the demo's workspace, with a key."""

    def __init__(self, found: Found, http: Http, cast: Cast) -> None:
        self._found = found
        self._http = http
        self._cast = cast

    def set_up(self) -> providers.Endpoints:
        """Accounts, endpoints, and the first time a policy."""
        for name in (providers.FIRST, providers.SECOND, providers.LAST):
            self.save_account(name)
        self._post("/v1/smtp-accounts/activate", {"name": providers.FIRST})
        if self._cast.is_new:
            self._post("/v1/workspaces/policy", _FIRST_POLICY)
        self._post(
            "/v1/smtp-accounts/pause",
            {"name": providers.LAST, "reason": "kernel update of the relay"},
        )
        return providers.add_endpoints(self._http, self._cast.ops_key)

    def save_account(self, name: str, *, username: str | None = None) -> None:
        body = providers.account(self._found, name, username=username)
        self._post("/v1/smtp-accounts", body)

    def at_noon(self) -> None:
        """After the campaign: the relay is back, some addresses are stopped, and so are the mail
        domains of those who sign up for fun.
        """
        body = {"name": providers.LAST, "reason": "the update is done"}
        self._post("/v1/smtp-accounts/resume", body)
        for email in SUPPRESSED:
            reason = "asked by phone not to be written to"
            self._post("/v1/suppressions", {"email": email, "reason": reason})
        self._post(
            "/v1/workspaces/policy",
            {
                "blocked_recipient_domains": list(content.BLOCKED_DOMAINS),
                "reason": "sign-ups with throwaway addresses",
            },
        )

    def freeze(self) -> None:
        """Stop mail to one domain for some hours, unless it is stopped already."""
        until = clock.now() + timedelta(hours=FREEZE_HOURS)
        body = {
            "kind": "recipient_domain",
            "target": content.FROZEN_DOMAIN,
            "reason": "their server is being moved; they asked us to wait",
            "expires_at": until.replace(microsecond=0).isoformat(),
        }
        self._http.ask("POST", "/v1/freezes", body, key=self._cast.ops_key, may_be=(409,))

    def intervene(self, traffic: Traffic) -> None:
        """What is done to single messages: some are withdrawn, held, resolved, sent once more."""
        cancelled = {"message_ids": traffic.deeds["cancel"], "reason": "the pick-up was moved"}
        self._post("/v1/messages/cancel", cancelled)
        held = {"message_ids": traffic.deeds["hold"], "reason": "is the address right?"}
        self._post("/v1/messages/hold", held)
        unknown = _ids(self._cast, traffic, Message.status == "unknown")
        if unknown:
            resolved = {"message_ids": unknown[:1], "outcome": "sent"}
            reason = "the customer has it"
            self._post("/v1/messages/resolve", {**resolved, "reason": reason})
        receipts = _ids(
            self._cast, traffic, Message.status == "sent", Message.tags.contains("receipt")
        )
        if receipts:
            resent = {
                "message_ids": receipts[:1],
                "reason": "deleted by mistake, says the customer",
            }
            self._post("/v1/messages/resend", resent)

    def leave(self, rng: Random, traffic: Traffic, window: Window) -> None:
        """Recipients of the letter follow its links; then they are written to once more."""
        readers = list(
            Message.select().where(
                Message.workspace == self._cast.workspace_id,
                Message.id << list(traffic.story),
                Message.topic == content.LETTER,
                Message.status == "sent",
            )
        )
        count = min(ONE_CLICK + EVERYTHING, len(readers))
        for place, message in enumerate(rng.sample(readers, count)):
            leaves_all = place >= ONE_CLICK
            self._follow(message, "action=all" if leaves_all else "List-Unsubscribe=One-Click")
            if place % 2 or leaves_all:
                to = Person("Reader", message.to_email)
                begin, _ = window.span(Stage.SINCE)
                body = content.arrivals(to) if leaves_all else content.letter(to)
                traffic.add(Stage.SINCE, Planned(begin, body))

    def _follow(self, message: Message, form: str) -> None:
        """The link that stands in the message, which only its recipient has."""
        unsubscribe_links.load(message.workspace_id)
        link = Link(message.workspace_id, message.id, message.to_email, message.topic)
        path = urlsplit(unsubscribe_links.make_url(link)).path
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        status, _ = self._http.send("POST", path, form.encode(), headers)
        if status != 200:
            raise Refused(f"an unsubscribe link answers {status}")

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._http.ask("POST", path, body, key=self._cast.ops_key)


def _ids(cast: Cast, traffic: Traffic, *conditions: Any) -> list[str]:
    """Some messages of this run."""
    ids: list[uuid.UUID] = list(traffic.story)
    rows = Message.select(Message.id).where(
        Message.workspace == cast.workspace_id, Message.id << ids, *conditions
    )
    return [str(row.id) for row in rows.limit(10)]
