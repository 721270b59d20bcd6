"""The policy editor: the rules in force, a preview of others over real mail while they are typed,
what they change, and saving them. Earlier versions are in `policy_versions`.

Nothing is saved that the page has not shown first: what it changes, and what that would have
stopped. Where somebody else has saved meanwhile, `merge` puts both together.
"""

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from maild import db
from maild.domain import policy_merge
from maild.domain.freeze import FreezeState
from maild.domain.policy import Policy
from maild.domain.policy_merge import Merged
from maild.domain.role import ADMINS, OPERATORS
from maild.errors import Conflict, FieldError, InvalidFields, NotFound
from maild.models import Freeze
from maild.services import freeze_targets, freezes, policies, policy_changes
from maild.services.policies import Saved, Version
from maild.web import (
    access,
    freeze_words,
    policy_figures,
    policy_forms,
    policy_words,
    render,
    throttle,
    toasts,
    words,
)
from maild.web.forms import text
from maild.web.policy_figures import Outlook
from maild.web.policy_forms import PolicyForm, Typed

FREEZES_SHOWN = 5
LOOK_FIRST = "Nothing is saved yet. Here is what it changes: look at it, then save it."
MERGED = (
    "Put together, and nothing is saved yet. Here is what it changes against {}: look at it, then"
    " save it."
)
MEND = "Nothing was saved. Mend what is marked, and save again."

blueprint = Blueprint("policies", __name__, url_prefix="/ui/policy")


@dataclass(frozen=True, slots=True)
class Row:
    """A rule that one or both have changed, in words; for a collision the field that chooses."""

    label: str
    base: str
    theirs: str
    yours: str
    result: str
    choice: str | None
    chosen: str
    is_wrong: bool


@blueprint.get("")
@db.connection()
def index() -> Response:
    """The rules in force; for those who may, as a form."""
    in_force = policies.get_in_force(access.current_workspace_id())
    return _page(policy_forms.fill(in_force.rules), in_force)


@blueprint.post("/preview")
@access.allow(OPERATORS)
@access.takes_long_form(policy_forms.MAX_FORM_BYTES)
@throttle.trials_of_visitor
@db.connection()
def preview() -> Response:
    """What is typed, tried over past mail: for htmx the parts that change, else the page."""
    form = PolicyForm()
    in_force = policies.get_in_force(access.current_workspace_id())
    typed = policy_forms.read(form, in_force.rules)
    if not render.wants_partial():
        return _page(form, in_force, typed, status=422 if typed.changes is None else 200)
    outlook = _look(form, typed)
    context = _look_context(form, in_force, typed, outlook)
    if outlook is None or outlook.told is None:  # what was known last stays
        return render.parts("partials/policy_parts.html", **context)
    return render.page("partials/policy_answer.html", **context)


@blueprint.post("")
@access.allow(ADMINS)
@access.takes_long_form(policy_forms.MAX_FORM_BYTES)
@throttle.trials_of_visitor
@db.connection()
def save() -> BaseResponse:
    """Save what the page has shown; what it has not shown yet, show."""
    workspace_id, form = access.current_workspace_id(), PolicyForm()
    in_force = policies.get_in_force(workspace_id)
    typed = policy_forms.read(form, in_force.rules)
    if typed.changes is None:
        form.problem = MEND
        return _page(form, in_force, typed, status=422)
    if policy_forms.parse_version(form.version.data) != in_force.rules.version:
        return _merge_page(form, typed, in_force)
    if form.seen.data != policy_forms.mark_of(typed.apply_to(in_force.rules)):
        return _page(form, in_force, typed, note=LOOK_FIRST)
    try:
        saved = policies.save(
            workspace_id,
            changes=typed.changes,
            version=in_force.rules.version,
            reason=_read_reason(form),
            by=access.actor(),
        )
    except InvalidFields as error:
        form.show(error, **policy_forms.NAMES)
        return _page(form, in_force, typed, status=422)
    except Conflict:
        return _merge_page(form, typed, policies.get_in_force(workspace_id))
    _tell_saved(saved, before=in_force.rules.version)
    return render.go_to(url_for("policies.index"))


@blueprint.post("/merge")
@access.allow(ADMINS)
@access.takes_long_form(policy_forms.MAX_FORM_BYTES)
@throttle.trials_of_visitor
@db.connection()
def merge() -> BaseResponse:
    """Put what was typed together with what somebody else saved meanwhile, as it was chosen; the
    editor shows the outcome.
    """
    workspace_id, form = access.current_workspace_id(), PolicyForm()
    in_force = policies.get_in_force(workspace_id)
    typed = policy_forms.read(form, in_force.rules)
    if typed.changes is None:
        form.problem = MEND
        return _page(form, in_force, typed, status=422)
    if policy_forms.parse_version(request.form.get("theirs")) != in_force.rules.version:
        return _merge_page(form, typed, in_force)
    merged = _merge(form, typed, in_force)
    chosen = {one.field: request.form.get(_choice(one)) for one in merged if one.is_collision}
    if any(choice not in ("theirs", "yours") for choice in chosen.values()):
        return _merge_page(form, typed, in_force, is_wrong=True)
    values = {
        one.field: one.yours if chosen.get(one.field) == "yours" else one.value for one in merged
    }
    form = policy_forms.fill(
        in_force.rules,
        reason=text(form.reason.data),
        window=policy_forms.window_of(form).value,
        **{policy_forms.field_of(rule): policy_forms.write(rule, values[rule]) for rule in values},
    )
    typed = policy_forms.read(form, in_force.rules)
    if typed.changes is None:  # two lists that are right may be too long together
        form.problem = MEND
        return _page(form, in_force, typed, status=422)
    name = policy_words.name(in_force.rules.version)
    return _page(form, in_force, typed, note=MERGED.format(name))


def _read_reason(form: PolicyForm) -> str:
    """Raises InvalidFields where there is none."""
    reason = text(form.reason.data).strip()
    if not reason:
        why = "say why: the history and the audit log keep it"
        raise InvalidFields(f"reason: {why}", errors=[FieldError("reason", why)])
    return reason


def _tell_saved(saved: Saved, *, before: int) -> None:
    if not saved.is_new:
        toasts.show("Nothing was saved: these rules are in force already.")
        return
    version = saved.in_force.rules.version
    undo = (
        url_for("policy_versions.roll_back", version=before),
        {"in_force": version, "reason": f"Version {version} taken back right after the save."},
    )
    toasts.show(f"Version {version} is in force now.", kind="ok", undo=undo)


def _page(
    form: PolicyForm,
    in_force: Version,
    typed: Typed | None = None,
    *,
    note: str = "",
    status: int | None = None,
) -> Response:
    """The editor; with `typed` as it was sent, looked at."""
    workspace_id = access.current_workspace_id()
    outlook = None if typed is None else _look(form, typed)
    typed = typed or policy_forms.read(form, in_force.rules)
    found = freezes.list_page(workspace_id, state=FreezeState.IN_FORCE, limit=FREEZES_SHOWN)
    return render.page(
        "pages/policy.html",
        status=status or 200,
        **_look_context(form, in_force, typed, outlook),
        note=note,
        rules=policy_words.rules(in_force.rules),
        defaults=policy_words.defaults(policies.default()),
        freezes=_list_freezes(workspace_id, found.freezes),
        has_more_freezes=found.older is not None,
        reason_max_chars=policies.REASON_MAX_CHARS,
    )


def _look(form: PolicyForm, typed: Typed) -> Outlook | None:
    """The preview of what was typed; None where something in it is wrong."""
    if typed.changes is None:
        return None
    return policy_figures.look(dict(typed.changes), policy_forms.window_of(form))


def _look_context(
    form: PolicyForm, in_force: Version, typed: Typed, outlook: Outlook | None
) -> dict[str, Any]:
    """What the parts of the editor show that change while somebody types."""
    tried: Policy | None = None if typed.changes is None else typed.apply_to(in_force.rules)
    changes = [] if tried is None else policy_changes.compare(in_force.rules, tried)
    return {
        "form": form,
        "in_force": in_force,
        "in_force_name": words.start(policy_words.name(in_force.rules.version)),
        "notes": typed.notes,
        "is_wrong": tried is None,
        "is_behind": policy_forms.parse_version(form.version.data) != in_force.rules.version,
        "differences": policy_words.differences(changes),
        "seen": None if tried is None else policy_forms.mark_of(tried),
        "outlook": outlook,
        "fields": [policy_forms.field_of(rule) for rule in policy_forms.RULES],
    }


def _merge(form: PolicyForm, typed: Typed, in_force: Version) -> list[Merged]:
    """Each rule that differs. Raises NotFound (the version that the form was made from)."""
    base_version = policy_forms.parse_version(form.version.data)
    if base_version is None:
        raise NotFound("The form does not say from which version of the policy it was made.")
    base = policies.get_version(access.current_workspace_id(), base_version).rules
    return policy_merge.merge(
        policy_changes.flatten(base),
        policy_changes.flatten(in_force.rules),
        policy_changes.flatten(typed.apply_to(base)),
        lists=policy_changes.DOMAIN_LISTS,
        open_lists=("allowed_from_domains",),
    )


def _merge_page(
    form: PolicyForm, typed: Typed, in_force: Version, *, is_wrong: bool = False
) -> Response:
    merged = _merge(form, typed, in_force)
    return render.page(
        "pages/policy_merge.html",
        status=422 if is_wrong else 409,
        form=form,
        base_name=words.start(
            policy_words.name(policy_forms.parse_version(form.version.data) or 0)
        ),
        in_force=in_force,
        story=policy_words.story(in_force),
        rows=[_row(one, is_wrong=is_wrong) for one in merged],
        is_wrong=is_wrong,
        fields=[policy_forms.field_of(rule) for rule in policy_forms.RULES],
    )


def _row(one: Merged, *, is_wrong: bool) -> Row:
    choice = _choice(one) if one.is_collision else None
    chosen = request.form.get(choice, "") if choice else ""
    return Row(
        label=policy_words.LABELS[one.field],
        base=policy_words.say(one.field, one.base),
        theirs=policy_words.say_against(one.field, one.base, one.theirs),
        yours=policy_words.say_against(one.field, one.base, one.yours),
        result="" if choice else policy_words.say_against(one.field, one.base, one.value),
        choice=choice,
        chosen=chosen,
        is_wrong=is_wrong and chosen not in ("theirs", "yours"),
    )


def _choice(one: Merged) -> str:
    """The name of the field that chooses."""
    return f"choose-{one.field.replace('.', '-')}"


def _list_freezes(workspace_id: int, found: list[Freeze]) -> list[tuple[Freeze, str]]:
    names = freeze_targets.list_key_names(workspace_id, found)
    return [
        (one, words.start(freeze_words.name(one.kind, one.target, names.get(one.id))))
        for one in found
    ]
