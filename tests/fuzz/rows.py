"""Rows for requests to be about: most of what an API does it does with what is there."""

import http.client
import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from maild.config import Addr

DOMAIN = "shop.example"
ACCOUNT = {"name": "main", "host": "smtp.example.com", "port": 587, "from_email": "a@example.com"}


@dataclass(slots=True)
class Rows:
    """What is there, by the operation that wants it; each row stands in for a few requests."""

    addr: Addr
    headers: dict[str, str]
    _ids: dict[str, Any] = field(default_factory=dict)
    _made: int = 0

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """One request that must go well."""
        connection = http.client.HTTPConnection(self.addr.host, self.addr.port, timeout=60)
        try:
            head = {"Content-Type": "application/json", **self.headers}
            connection.request(method, path, json.dumps(body) if body else None, head)
            response = connection.getresponse()
            text = response.read().decode()
            assert response.status < 300, f"{method} {path}: {response.status} {text}"
            return json.loads(text)
        finally:
            connection.close()

    def make(self) -> dict[str, Any]:
        """Make some of everything. Returns what paths may name."""
        self.ask("POST", "/v1/smtp-accounts", **ACCOUNT)
        self.ask("POST", "/v1/domains", domain=DOMAIN)
        self.ask("POST", "/v1/workspaces/policy", rate_limit_workspace_per_hour=10_000_000)
        message_id = self._message()
        incident = self.ask("POST", "/v1/incidents", message_id=message_id)
        return {
            "incident_id": incident["id"],
            "message_id": message_id,
            "segment_id": self._segment(),
        }

    def fill(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        """The body, with rows in the places of what it names; every second time, so that what is
        not there is asked for as well.
        """
        self._made += 1
        if self._made % 2:
            return body
        places = self._places(operation)
        return {key: places.get(key, value) for key, value in body.items()}

    def _places(self, operation: str) -> dict[str, Any]:
        if operation.endswith("_messages") or operation == "open_incident":
            message_id = self._message()
            return {"message_ids": [message_id], "message_id": message_id}
        if operation in {"extend_freeze", "lift_freeze"}:
            until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
            target = f"{uuid.uuid4().hex}.example"
            told = {"kind": "recipient_domain", "reason": "A test.", "expires_at": until}
            return {"id": self.ask("POST", "/v1/freezes", target=target, **told)["id"]}
        if operation.endswith("_api_key"):
            made = self.ask("POST", "/v1/api-keys", name=uuid.uuid4().hex, role="viewer")
            return {"id": made["id"], "role": "viewer"}
        if operation.endswith("dkim_key"):
            domain = f"{uuid.uuid4().hex}.example"
            [key] = self.ask(
                "POST", "/v1/domains/dkim-keys", domain=domain, algorithms=["ed25519-sha256"]
            )["keys"]
            return {"id": key["id"]}
        if operation in {"change_segment", "delete_segment", "restore_segment"}:
            return {"segment_id": self._segment()}
        return {"name": "main", "domain": DOMAIN, "email": "ann@example.org"}

    def _segment(self) -> int:
        rules = {"field": "email", "op": "contains", "value": "@"}
        made = self.ask("POST", "/v1/segments", name=uuid.uuid4().hex, rules=rules)
        return int(made["id"])

    def _message(self) -> str:
        later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        return str(
            self.ask(
                "POST",
                "/v1/messages",
                from_email="shop@example.com",
                to_email="ann@example.org",
                subject="Hello",
                body_text="Hello.",
                scheduled_at=later,
            )["id"]
        )
