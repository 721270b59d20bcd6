"""What has to be there for the examples of campaigns to work; imported with the other seeds."""

from typing import Any

from maild.domain.actor import Actor
from maild.domain.campaign import CampaignStatus
from maild.domain.role import Role
from maild.models import Campaign, Person
from maild.services import campaign_states, campaign_tests, contacts, members
from tests.api.seeds import Places, Seed, World, seed
from tests.services.campaigning import hand_all, make_template, step_until

BY = Actor("admin key")
MEMBER = "kim@shop.example"
_VERBS = {
    "change_campaign": "draft",
    "check_campaign": "draft",
    "copy_campaign": "draft",
    "submit_campaign": "draft",
    "schedule_campaign": "draft",
    "send_back_campaign": "in_review",
    "approve_campaign": "in_review",
    "unschedule_campaign": "scheduled",
    "get_campaign": "sending",
    "pause_campaign": "sending",
    "cancel_campaign": "sending",
    "resume_campaign": "paused",
}


def make(world: World, status: str, **fields: Any) -> int:
    """A campaign to two contacts that has come so far; its id."""
    for email, name in (("ann@example.org", "Ann"), ("bob@example.org", "Bob")):
        contacts.upsert(1, email, contacts.ContactFields(name=name), by=BY)
    version = make_template(subject="Spring is here, {{ contact.name }}")
    made = world.call(
        "POST",
        "/v1/campaigns",
        **{
            "name": "Spring sale",
            "audience_kind": "everyone",
            "from_email": "news@shop.example",
            "from_name": "The shop",
            "topic": "offers",
            "template_id": version.template_id,
            **fields,
        },
    )
    path = f"/v1/campaigns/{made['id']}"
    if status == "in_review":
        world.call("POST", f"{path}/submit")
    elif status != "draft":
        world.call("POST", f"{path}/schedule")
    if status in {"sending", "paused"}:
        row = step_until(Campaign.get_by_id(made["id"]), CampaignStatus.SENDING)
        if row.test_percent is None:
            hand_all(row)
    if status == "paused":
        campaign_states.pause(1, made["id"], by=BY)
    return int(made["id"])


def _of(status: str) -> Seed:
    return lambda world: Places(path={"campaign_id": make(world, status)})


for _operation, _status in _VERBS.items():
    seed(_operation)(_of(_status))


@seed("list_campaigns")
def _some(world: World) -> None:
    make(world, "draft")


@seed("delete_campaign")
def _draft(world: World) -> Places:
    return Places(body={"id": make(world, "draft")})


@seed("preview_campaign", "test_campaign")
def _shown(world: World) -> Places:
    campaign_tests.forget()
    person = Person.create(name="Kim", email=MEMBER, password_hash="none")
    members.add(1, person_id=person.id, role=Role.OPERATOR)
    return Places(path={"campaign_id": make(world, "draft")})


@seed("choose_campaign_winner")
def _tested(world: World) -> Places:
    fields = {
        "subject": "Spring is here",
        "subject_b": "All for spring",
        "test_percent": 50,
        "test_minutes": 60,
        "test_metric": "opens",
    }
    return Places(path={"campaign_id": make(world, "sending", **fields)})


@seed("get_campaign_report", "list_campaign_recipients", "export_campaign_recipients")
def _sending(world: World) -> Places:
    return Places(query={"campaign_id": make(world, "sending")})
