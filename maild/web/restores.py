"""After a restore: what is missing, what waits, and what a person decides about it."""

from dataclasses import dataclass
from urllib.parse import urlencode

from flask import Blueprint, Response, url_for
from werkzeug.wrappers import Response as BaseResponse

from maild import db
from maild.domain.role import OPERATORS
from maild.domain.states import Status
from maild.errors import Conflict, NotFound
from maild.services import freezes, restores
from maild.services.restores import Group, Left
from maild.web import access, badges, freeze_forms, render, toasts
from maild.web.bulk_words import count

LIFT_REASON = "What was missing since the backup is back."
ACTIONS = {
    Status.HELD: (("cancel", "Cancel…"), ("release", "Release…")),
    Status.UNKNOWN: (("retry", "Retry…"),),
}
"""What can be done to messages that stand so: the action of the bulk page, and its button."""
_ID_MAX = 2**31 - 1

blueprint = Blueprint("restores", __name__, url_prefix="/ui/restore")


@dataclass(frozen=True, slots=True)
class Row:
    """Messages that stand alike. `query` asks the log for them; `age` says when they were accepted,
    and `actions` are those that make sense.
    """

    group: Group
    query: str
    age: str
    actions: tuple[tuple[str, str], ...]


@blueprint.get("")
@db.connection()
def index() -> Response:
    """The newest restore, with its plan."""
    workspace_id = access.current_workspace_id()
    standing = restores.find_newest(workspace_id)
    if standing is None:
        return render.page("pages/restore.html", standing=None)
    left = restores.look(standing.restore)
    return render.page(
        "pages/restore.html",
        standing=standing,
        restore=standing.restore,
        rows=_rows(standing.restore.id, left),
        left=left,
        waiting=left.count(Status.HELD, Status.UNKNOWN),
        doubts=restores.count_doubts([workspace_id])[workspace_id],
        badges=badges.STATUS,
        lift_form=freeze_forms.LiftForm(formdata=None, reason=LIFT_REASON),
        reason_max_chars=freezes.REASON_MAX_CHARS,
    )


@blueprint.post("/<int:restore_id>/settle")
@access.allow(OPERATORS)
@db.connection()
def settle(restore_id: int) -> BaseResponse:
    """Be done with it."""
    if restore_id > _ID_MAX:
        raise NotFound("There is no such restore in this workspace.")
    restore = restores.get(access.current_workspace_id(), restore_id)
    try:
        restores.settle(restore, by=access.actor())
    except Conflict as error:
        toasts.show(error.detail, kind="bad")
    else:
        toasts.show("Done with the restore. What it holds stays held.", kind="ok")
    return render.go_to(url_for("restores.index"))


def _rows(restore_id: int, left: Left) -> list[Row]:
    return [
        Row(
            group=group,
            query=urlencode(
                {"restore": restore_id, "status": group.status, "stream": group.stream}
            ),
            age=_age(group),
            actions=ACTIONS.get(group.status, ()),
        )
        for group in left.groups
    ]


def _age(group: Group) -> str:
    """`12 in the hour before, 3 in the day before that, 1 earlier`."""
    parts = (
        (group.hour_count, "in the hour before"),
        (group.day_count, "in the day before that"),
        (group.older_count, "earlier"),
    )
    told = ", ".join(f"{number:,} {words}" for number, words in parts if number)
    if group.scheduled_count:
        told += f"; {count(group.scheduled_count, 'is', 'are')} scheduled for later"
    return told
