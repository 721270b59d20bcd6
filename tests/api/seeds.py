"""What has to be there for the examples of the reference to work, by the operation.

An example names ids; a seed makes the rows and says what to put in the ids' places: `path`, `query`
and `body` over those of the example. An operation without a seed needs nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from flask.testing import FlaskClient

from maild import clock, config
from maild.domain.actor import SYSTEM
from maild.models import Message
from maild.services import contact_imports, incidents, job_steps, suppressions
from tests.api import reporting


@dataclass(frozen=True, slots=True)
class Places:
    """What stands in an example's places."""

    path: dict[str, Any] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class World:
    """What seeds make their rows with."""

    client: FlaskClient
    accept: Callable[..., Message]
    put: Callable[..., str]
    deliver: Callable[[], int]

    def call(self, method: str, path: str, **body: Any) -> Any:
        """Do something over /v1 as an admin; the answer."""
        settings = config.current()
        headers = {settings.api_key_header: settings.admin_api_key}
        response = self.client.open(path, method=method, json=body, headers=headers)
        assert response.status_code < 300, response.text
        return response.get_json()


Seed = Callable[[World], Places | None]
SEEDS: dict[str, Seed] = {}
ACCOUNT = {"name": "main", "host": "smtp.example.com", "port": 587, "from_email": "a@example.com"}
DOMAIN = "shop.example"
EVENT_TYPE = "returned_to_sender"


def seed(*operations: str) -> Callable[[Seed], Seed]:
    def keep(made: Seed) -> Seed:
        SEEDS.update(dict.fromkeys(operations, made))
        return made

    return keep


def _messages(status: str) -> Seed:
    return lambda world: Places(
        body={"message_ids": [world.put(status, subject="Your order 1234")]}
    )


for _operation, _status in {
    "retry_messages": "failed",
    "cancel_messages": "queued",
    "hold_messages": "queued",
    "release_messages": "held",
    "resolve_messages": "unknown",
    "resend_messages": "failed",
}.items():
    SEEDS[_operation] = _messages(_status)


def _sent(world: World) -> str:
    """The id of a message that went out."""
    message = world.accept(subject="Your order 1234", tags=("order",))
    world.deliver()
    return str(message.id)


@seed("get_message")
def _one_message(world: World) -> Places:
    return Places(path={"message_id": _sent(world)})


@seed("get_message_timeline", "get_incident_bundle")
def _named_message(world: World) -> Places:
    return Places(query={"message_id": _sent(world)})


@seed("open_incident")
def _told_message(world: World) -> Places:
    return Places(body={"message_id": world.put("failed")})


@seed("list_messages")
def _log(world: World) -> None:
    for number in (1234, 1235, 1236):
        world.accept(subject=f"Your order {number}")


@seed("activate_smtp_account", "pause_smtp_account", "delete_smtp_account", "list_smtp_accounts")
def _account(world: World) -> None:
    world.call("POST", "/v1/smtp-accounts", **ACCOUNT)


@seed("resume_smtp_account")
def _paused_account(world: World) -> None:
    _account(world)
    world.call("POST", "/v1/smtp-accounts/pause", name="main", reason="A test.")


@seed("list_policy_versions", "roll_back_policy", "get_policy")
def _policies(world: World) -> None:
    for limit in (1000, 500):
        world.call("POST", "/v1/workspaces/policy", rate_limit_workspace_per_hour=limit)


@seed("preview_policy")
def _traffic(world: World) -> None:
    world.accept()


def _soon(hours: int) -> str:
    return (clock.now() + timedelta(hours=hours)).isoformat()


@seed("start_freeze")
def _coming(_world: World) -> Places:
    return Places(body={"expires_at": _soon(2)})


@seed("extend_freeze", "lift_freeze", "list_freezes")
def _freeze(world: World) -> Places:
    made = world.call(
        "POST",
        "/v1/freezes",
        kind="recipient_domain",
        target="example.org",
        reason="They ask us to slow down.",
        expires_at=_soon(2),
    )
    return Places(body={"id": made["id"], "expires_at": _soon(8)})


@seed("remove_suppression", "list_suppressions")
def _suppression(world: World) -> None:
    world.call("POST", "/v1/suppressions", email="ann@example.org", reason="Asked us by phone.")


@seed("export_suppressions")
def _suppressions(_world: World) -> None:
    suppressions.add(1, "ann@example.org", reason="Asked us by phone.", source="api", by=SYSTEM)


@seed("list_blocked_messages")
def _blocked(world: World) -> Places:
    made = world.call("POST", "/v1/suppressions", email="ann@example.org", reason="By phone.")
    world.call("POST", "/v1/messages", **_MESSAGE)
    return Places(query={"suppression_id": made["id"]})


_MESSAGE = {
    "from_email": "shop@example.com",
    "to_email": "ann@example.org",
    "subject": "Your order 1234",
    "body_text": "It is on its way.",
}


@seed("list_topics", "delete_topic")
def _topic(world: World) -> None:
    world.call("POST", "/v1/topics", name="news", label="Our newsletter")


@seed("list_unsubscribes", "remove_unsubscribe")
def _unsubscribe(world: World) -> None:
    world.call("POST", "/v1/unsubscribes", email="ann@example.org", topic="news")


@seed("list_domains", "remove_domain", "check_domain")
def _domain(world: World) -> None:
    world.call("POST", "/v1/domains", domain=DOMAIN, dkim_selector="s1")


@seed("rotate_dkim_key", "activate_dkim_key", "retire_dkim_key", "list_dkim_keys")
def _dkim_key(world: World) -> Places:
    [key] = world.call("POST", "/v1/domains/dkim-keys", domain=DOMAIN)["keys"]
    return Places(body={"id": key["id"]})


@seed("rotate_dkim_key", "retire_dkim_key")
def _active_dkim_key(world: World) -> Places:
    made = _dkim_key(world)
    world.call("POST", "/v1/domains/dkim-keys/activate", insist=True, **made.body)
    return made


def _endpoint(provider: str) -> Seed:
    def make(_world: World) -> Places:
        row = reporting.endpoint(provider)
        token = reporting.path_of(row).rpartition("/")[2]
        named = {"token": token} if provider == "dsn" else {"provider": provider, "token": token}
        return Places(path=named)

    return make


SEEDS["report_provider_events"] = SEEDS["check_webhook_endpoint"] = _endpoint("postmark")
SEEDS["report_bounce_mail"] = _endpoint("dsn")


@seed("list_webhook_endpoints", "delete_webhook_endpoint", "add_webhook_secret")
def _webhook_endpoint(_world: World) -> Places:
    return Places(body={"id": reporting.endpoint("postmark", basic_auth=("a", "b")).id})


@seed("remove_webhook_secret")
def _webhook_secret(world: World) -> Places:
    made = _webhook_endpoint(world)
    told = world.call(
        "POST", "/v1/webhooks/endpoints/secrets", kind="basic_auth", value="a:long", **made.body
    )
    return Places(body={**made.body, "secret_id": told["secret_id"]})


@seed("list_provider_events", "replay_provider_events", "dismiss_provider_events")
def _dead_letter(world: World) -> Places:
    reporting.post(world_call(world), {"type": EVENT_TYPE, "email": "ann@example.org"})
    [event] = reporting.read()
    return Places(body={"event_ids": [event.id]})


def world_call(world: World) -> Callable[..., Any]:
    """The client as `reporting` wants it."""

    def send(method: str, path: str, *, key: None, data: bytes, headers: dict[str, str]) -> Any:
        return world.client.open(path, method=method, data=data, headers=headers)

    return send


@seed(
    "list_incidents",
    "get_incident",
    "list_incident_messages",
    "acknowledge_incident",
    "assign_incident",
    "add_incident_note",
    "set_incident_severity",
    "resolve_incident",
)
def _incident(world: World) -> Places:
    return Places(path={"incident_id": _open(world, "example.org").id})


def _open(world: World, domain: str) -> Any:
    message_id = world.put("failed", to_email=f"ann@{domain}")
    return incidents.open_by_hand(1, message_id, title="Mail is refused", by=SYSTEM)


@seed("reopen_incident")
def _resolved(world: World) -> Places:
    made = _incident(world)
    world.call("POST", f"/v1/incidents/{made.path['incident_id']}/resolve", cause="A test.")
    return made


@seed("merge_incident")
def _two(world: World) -> Places:
    made = _incident(world)
    return Places(path=made.path, body={"into_id": _open(world, "example.net").id})


@seed("delete_notification_channel", "test_notification_channel", "list_notification_channels")
def _channel(world: World) -> Places:
    target = "https://hooks.example.com/maild/secretpart"
    made = world.call(
        "POST", "/v1/notification-channels", name="On call", kind="webhook", target=target
    )
    return Places(body={"id": made["id"]})


@seed("list_notifications")
def _told(world: World) -> None:
    world.call("POST", "/v1/notification-channels/test", **_channel(world).body)


@seed("export_analytics", "get_analytics_summary", "get_billing_metering")
def _counted(world: World) -> None:
    world.put("sent")


@seed("limit_api_key", "revoke_api_key", "list_api_keys", "list_audit_entries")
def _key(world: World) -> Places:
    made = world.call("POST", "/v1/api-keys", name="The shop", role="sender")
    return Places(body={"id": made["id"]})


SEGMENT = {
    "all": [
        {"field": "attributes.plan", "op": "equals", "value": "pro"},
        {"any": [
            {"field": "attributes.country", "op": "equals", "value": "DE"},
            {"field": "attributes.country", "op": "equals", "value": "AT"},
        ]},
        {"field": "consent.at", "op": "in_last_days", "value": 365},
    ]
}  # fmt: skip


@seed("create_segment", "preview_segment")
def _customers(world: World) -> None:
    consent = {"source": "form", "at": clock.now().isoformat()}
    world.call(
        "POST",
        "/v1/contacts/batch",
        contacts=[
            {
                "email": f"{name}@example.org",
                "attributes": {"plan": "pro", "country": country},
                "consent": consent,
            }
            for name, country in (("ann", "DE"), ("bob", "AT"), ("eve", "FR"))
        ],
    )


@seed("list_segments")
def _listed_segment(world: World) -> None:
    _segment(world)


@seed("get_segment")
def _one_segment(world: World) -> Places:
    return Places(path={"segment_id": _segment(world)})


@seed("list_segment_members")
def _filled_segment(world: World) -> Places:
    return Places(query={"segment_id": _segment(world)})


@seed("change_segment", "delete_segment")
def _named_segment(world: World) -> Places:
    return Places(body={"segment_id": _segment(world)})


@seed("restore_segment")
def _deleted_segment(world: World) -> Places:
    segment_id = _segment(world)
    world.call("DELETE", "/v1/segments", segment_id=segment_id)
    return Places(body={"segment_id": segment_id})


def _segment(world: World) -> int:
    _customers(world)
    made = world.call("POST", "/v1/segments", name="Customers nearby", rules=SEGMENT)
    return int(made["id"])


CONTACTS = "email,name,city\nann@example.org,Ann,Cologne\nbob@example.org,Bob,\nnonsense,Eve,\n"


def _send_contacts(world: World) -> int:
    settings = config.current()
    response = world.client.post(
        "/v1/contacts/imports?name=fair.csv",
        data=CONTACTS,
        headers={settings.api_key_header: settings.admin_api_key, "Content-Type": "text/csv"},
    )
    assert response.status_code == 201, response.text
    return int(response.get_json()["id"])


def _look_at_contacts(world: World) -> int:
    import_id = _send_contacts(world)
    world.call("POST", "/v1/contacts/imports/configure", id=import_id)
    job_steps.drain()
    return import_id


def _import_contacts(world: World) -> int:
    import_id = _look_at_contacts(world)
    world.call("POST", "/v1/contacts/imports/start", id=import_id)
    job_steps.drain()
    return import_id


@seed("list_contact_imports")
def _contact_imports(world: World) -> None:
    _import_contacts(world)


@seed("get_contact_import", "export_rejected_contacts")
def _contact_import(world: World) -> Places:
    return Places(path={"import_id": _import_contacts(world)})


@seed("configure_contact_import")
def _sent_contacts(world: World) -> Places:
    return Places(body={"id": _send_contacts(world)})


@seed("start_contact_import")
def _seen_contacts(world: World) -> Places:
    import_id = _look_at_contacts(world)
    seen = contact_imports.get(1, import_id).file.check_job_id
    return Places(body={"id": import_id, "check_job_id": seen})


@seed("undo_contact_import")
def _imported_contacts(world: World) -> Places:
    return Places(body={"id": _import_contacts(world)})


ANN = {"email": "ann@example.org", "name": "Ann Archer", "attributes": {"plan": "pro"}}


def _contact(world: World) -> int:
    return int(world.call("POST", "/v1/contacts", **ANN)["id"])


@seed("list_contacts", "export_contacts", "delete_contact")
@seed("list_contact_attributes", "delete_contact_attribute")
def _some_contact(world: World) -> None:
    _contact(world)


@seed("get_contact")
def _one_contact(world: World) -> Places:
    contact_id, audience_id = _contact(world), _audience(world)
    world.call("POST", "/v1/audiences/members", audience_id=audience_id, contact_ids=[contact_id])
    return Places(path={"contact_id": contact_id})


def _audience(world: World) -> int:
    return int(world.call("POST", "/v1/audiences", name="Customers")["id"])


@seed("list_audiences")
def _some_audience(world: World) -> None:
    _audience(world)


@seed("get_audience")
def _one_audience(world: World) -> Places:
    return Places(path={"audience_id": _audience(world)})


@seed("change_audience", "delete_audience", "add_audience_members")
def _named_audience(world: World) -> Places:
    return Places(body={"audience_id": _audience(world)})


@seed("restore_audience")
def _deleted_audience(world: World) -> Places:
    audience_id = _audience(world)
    world.call("DELETE", "/v1/audiences", audience_id=audience_id)
    return Places(body={"audience_id": audience_id})


def _members(world: World) -> int:
    audience_id = _audience(world)
    world.call("POST", "/v1/audiences/members", audience_id=audience_id, emails=["ann@example.org"])
    return audience_id


@seed("list_audience_members")
def _filled_audience(world: World) -> Places:
    return Places(query={"audience_id": _members(world)})


@seed("remove_audience_members")
def _audience_to_leave(world: World) -> Places:
    return Places(body={"audience_id": _members(world)})
