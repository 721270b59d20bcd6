"""Signing a domain's mail: its DKIM keys, the records to publish, and what can be done with each.

The section is part of the domain's page (`domains`): `describe` has what it needs.
"""

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from maild import db
from maild.domain import dkim
from maild.domain.dkim import Algorithm, KeyState, RecordState
from maild.domain.role import ADMINS
from maild.errors import Conflict, NotFound, RateLimited
from maild.models import DkimKey
from maild.services import dkim_checks, dkim_keys, domain_checks, domains
from maild.web import access, provider_parts, render, toasts
from maild.web.badges import Badge

ID_MAX = 2**31 - 1

STATES = {
    KeyState.PREPARED: Badge("waits for its record", "clock", "warn"),
    KeyState.ACTIVE: Badge("signs", "check", "ok"),
    KeyState.RETIRING: Badge("signs no more", "minus", "neutral"),
    KeyState.RETIRED: Badge("retired", "cross", "neutral"),
}
RECORDS = {
    RecordState.UNCHECKED: Badge("not looked up yet", "clock", "neutral"),
    RecordState.PUBLISHED: Badge("seen in the DNS", "check", "ok"),
    RecordState.MISSING: Badge("not there", "cross", "bad"),
    RecordState.DIFFERENT: Badge("another record is there", "alert", "bad"),
    RecordState.REVOKED: Badge("revoked by its record", "ban", "bad"),
    RecordState.UNKNOWN: Badge("the DNS did not answer", "question", "unsure"),
}
TITLES = {Algorithm.RSA: "RSA, 2,048 bits", Algorithm.ED25519: "Ed25519"}
CHOICES = {
    "rsa": (Algorithm.RSA,),
    "both": (Algorithm.RSA, Algorithm.ED25519),
    "ed25519": (Algorithm.ED25519,),
}

blueprint = Blueprint("domain_signing", __name__, url_prefix="/ui/domains/<int:domain_id>/signing")


@dataclass(frozen=True, slots=True)
class KeyCard:
    """A key with what is told of it. `value` is what its record says, `zone_value` the same in
    strings that are short enough.
    """

    key: DkimKey
    title: str
    state: Badge
    record: Badge
    name: str
    value: str
    zone_value: str
    has_successor: bool
    """Another key of its algorithm waits for its record."""


def describe(domain_id: int, name: str) -> dict[str, Any]:
    """The context of partials/domain_signing.html for a domain of the workspace."""
    keys = dkim_keys.list_of_domain(access.current_workspace_id(), name)
    waiting = {key.algorithm for key in keys if key.state is KeyState.PREPARED}
    cards = [_card(key, has_successor=key.algorithm in waiting) for key in keys]
    return {
        "signing_domain_id": domain_id,
        "signing_domain": name,
        "signing_keys": [card for card in cards if card.key.state is not KeyState.RETIRED],
        "signing_retired": [card for card in cards if card.key.state is KeyState.RETIRED],
        "is_signed": any(key.state is KeyState.ACTIVE for key in keys),
        "is_rsa_signed": any(
            key.state is KeyState.ACTIVE and key.algorithm is Algorithm.RSA for key in keys
        ),
        "retiring_days": dkim_keys.RETIRING_DAYS,
        "signing_lock": provider_parts.admin_lock(),
    }


@blueprint.post("")
@access.allow(ADMINS)
@db.connection()
def prepare(domain_id: int) -> BaseResponse:
    """Make keys; their records are to be published next."""
    name = _domain(domain_id)
    algorithms = CHOICES.get(request.form.get("algorithms", "rsa"), CHOICES["rsa"])
    try:
        made = dkim_keys.prepare(
            access.current_workspace_id(), name, algorithms=algorithms, by=access.actor()
        )
    except Conflict as error:
        toasts.show(error.detail, kind="bad")
    else:
        records = "the record" if len(made) == 1 else "both records"
        toasts.show(f"Publish {records}; maild begins to sign once it sees that.", kind="ok")
        domains.ask_again(access.current_workspace_id(), domain_id)
    return _back(domain_id)


@blueprint.post("/check")
@access.allow(ADMINS)
@db.connection()
def check(domain_id: int) -> BaseResponse:
    """Look at the DNS now."""
    workspace_id, name = access.current_workspace_id(), _domain(domain_id)
    try:
        domain_checks.count_call(workspace_id)
        dkim_checks.check_domain(workspace_id, name)
    except RateLimited as error:
        toasts.show(error.detail, kind="bad")
    else:
        toasts.show("maild has looked at the DNS; what it found stands with each key.", kind="ok")
        domains.ask_again(workspace_id, domain_id)
    return _back(domain_id)


@blueprint.post("/<int:key_id>/rotate")
@access.allow(ADMINS)
@db.connection()
def rotate(domain_id: int, key_id: int) -> BaseResponse:
    """Make a key that takes over from this one."""
    key = _key(domain_id, key_id)
    try:
        dkim_keys.rotate(key.workspace_id, key.id, by=access.actor())
    except Conflict as error:
        toasts.show(error.detail, kind="bad")
    else:
        toasts.show(
            "Publish the new key's record; maild changes over once it sees that.", kind="ok"
        )
    return _back(domain_id)


@blueprint.post("/<int:key_id>/activate")
@access.allow(ADMINS)
@db.connection()
def activate(domain_id: int, key_id: int) -> BaseResponse:
    """Let a key sign, seen in the DNS or not where the person insists."""
    key = _key(domain_id, key_id)
    is_insisted = request.form.get("insist") == "y"
    try:
        if not is_insisted:
            domain_checks.count_call(key.workspace_id)
        dkim_checks.activate(key.workspace_id, key.id, insist=is_insisted, by=access.actor())
    except (Conflict, RateLimited) as error:
        toasts.show(error.detail, kind="bad")
    else:
        toasts.show(f"Mail from {key.domain} is signed with {key.selector} now.", kind="ok")
        domains.ask_again(key.workspace_id, domain_id)
    return _back(domain_id)


@blueprint.post("/<int:key_id>/retire")
@access.allow(ADMINS)
@db.connection()
def retire(domain_id: int, key_id: int) -> BaseResponse:
    """Stop signing with a key, or with `at_once` retire one; stopping can be taken back."""
    key = _key(domain_id, key_id)
    is_at_once = request.form.get("at_once") == "y"
    changed = dkim_keys.retire(key.workspace_id, key.id, at_once=is_at_once, by=access.actor())
    domains.ask_again(key.workspace_id, domain_id)
    if changed.state is KeyState.RETIRING and key.state is KeyState.ACTIVE:
        url = url_for("domain_signing.activate", domain_id=domain_id, key_id=key_id)
        told = f"{key.selector} signs no more. Leave its record in place for now."
        toasts.show(told, kind="ok", undo=(url, {"insist": "y"}))
    elif changed.state is KeyState.RETIRING:
        toasts.show(f"{key.selector} signs no more already.")
    else:
        toasts.show(f"{key.selector} is retired. Its record may be removed.", kind="ok")
    return _back(domain_id)


def _card(key: DkimKey, *, has_successor: bool) -> KeyCard:
    value = dkim.record_value(key.algorithm, key.public_key)
    return KeyCard(
        key,
        title=TITLES[key.algorithm],
        state=STATES[key.state],
        record=RECORDS[key.record_state],
        name=dkim.record_name(key.selector, key.domain),
        value=value,
        zone_value=dkim.zone_value(value),
        has_successor=has_successor,
    )


def _domain(domain_id: int) -> str:
    """The name of the workspace's domain. Raises NotFound."""
    if domain_id > ID_MAX:
        raise NotFound("There is no such domain.")
    return domains.get(access.current_workspace_id(), domain_id).name


def _key(domain_id: int, key_id: int) -> DkimKey:
    """A key of this very domain. Raises NotFound."""
    name = _domain(domain_id)
    if key_id > ID_MAX:
        raise NotFound("There is no such DKIM key.")
    key = dkim_keys.get(access.current_workspace_id(), key_id)
    if key.domain != dkim_keys.normalise(name):
        raise NotFound("There is no such DKIM key.")
    return key


def _back(domain_id: int) -> BaseResponse:
    return render.go_to(url_for("domains.show", domain_id=domain_id, _anchor="signing"))
