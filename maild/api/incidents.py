"""/v1/incidents: what goes wrong with a workspace's mail, and what people do about it."""

from collections.abc import Callable
from typing import Any

from maild.api import schemas
from maild.api.auth import OPERATORS, READERS, Caller
from maild.api.endpoint import endpoint
from maild.api.errors import bad_query
from maild.api.messages import summarise
from maild.api.query import parse_serial_cursor
from maild.domain import ids, incident_advice, serial_cursor
from maild.errors import Conflict, NotFound
from maild.models import Event, Incident, IncidentEntry, IncidentSignal
from maild.services import incident_inbox, incident_messages, incident_stories, incidents

ID_MAX = 2**31 - 1
_ONE = "/v1/incidents/<incident_id>"


@endpoint(
    "GET",
    "/v1/incidents",
    summary="The incidents of a workspace, newest first",
    allow=READERS,
    query=schemas.IncidentQuery,
    answer=schemas.IncidentPage,
)
def list_incidents(caller: Caller, query: schemas.IncidentQuery) -> schemas.IncidentPage:
    """Those that are not resolved unless `status` says otherwise."""
    workspace_id = caller.workspace_id(query.workspace_id)
    page = incidents.list_page(
        workspace_id,
        filter_=incidents.Filter(
            status=None if query.status == "all" else query.status,
            kind=query.kind,
            severity=query.severity,
            smtp_account=query.smtp_account,
            assigned_to=query.assigned_to,
        ),
        limit=query.limit,
        before=parse_serial_cursor(query.cursor),
    )
    return schemas.IncidentPage(
        workspace_id=workspace_id,
        count=len(page.incidents),
        incidents=[_answer(incident) for incident in page.incidents],
        next_cursor=None if page.older is None else serial_cursor.write(page.older),
    )


@endpoint(
    "GET",
    _ONE,
    summary="One incident, with its signals, replies, advice and timeline",
    allow=READERS,
    query=schemas.IncidentGet,
    answer=schemas.IncidentDetail,
)
def get_incident(
    caller: Caller, query: schemas.IncidentGet, incident_id: str
) -> schemas.IncidentDetail:
    """Also what servers replied, what is likely wrong, what to do about it, and all that happened
    in order.
    """
    incident = incidents.get(caller.workspace_id(query.workspace_id), _id(incident_id))
    signals = incident_inbox.list_signals([incident])[incident.id]
    advice = incident_advice.advise(incident.kind, [signal.error_class for signal in signals])
    return schemas.IncidentDetail(
        **_fields(incident),
        signals=[_signal(signal) for signal in signals],
        replies=[
            schemas.ReplyOut(
                text=reply.text,
                error_class=reply.error_class,
                smtp_account=reply.smtp_account,
                recipient_domain=reply.recipient_domain,
                seen_at=reply.seen_at,
            )
            for reply in incident_stories.list_replies(incident)
        ],
        advice=schemas.AdviceOut(
            likely_cause=advice.likely_cause, suggested_action=advice.suggested_action
        ),
        messages_by_status=incident_messages.count_by_status(incident),
        timeline=[_entry(one) for one in incident_stories.list_entries(incident)],
    )


@endpoint(
    "GET",
    f"{_ONE}/messages",
    summary="The messages of an incident, newest first",
    allow=READERS,
    query=schemas.IncidentMessagesQuery,
    answer=schemas.IncidentMessages,
)
def list_incident_messages(
    caller: Caller, query: schemas.IncidentMessagesQuery, incident_id: str
) -> schemas.IncidentMessages:
    """The messages that failed or waited because of it."""
    workspace_id = caller.workspace_id(query.workspace_id)
    before = ids.parse_id(query.cursor) if query.cursor else None
    if query.cursor and before is None:
        raise bad_query("cursor", "is not a cursor that maild gave out")
    incident = incidents.get(workspace_id, _id(incident_id))
    page = incident_messages.list_page(incident, limit=query.limit, before=before)
    return schemas.IncidentMessages(
        workspace_id=workspace_id,
        incident_id=incident.id,
        count=len(page.messages),
        messages=[summarise(message) for message in page.messages],
        next_cursor=None if page.older is None else str(page.older),
    )


@endpoint(
    "POST",
    "/v1/incidents",
    summary="Open an incident of one message by hand",
    allow=OPERATORS,
    body=schemas.IncidentIn,
    answer=schemas.IncidentOut,
    status=201,
    raises=(Conflict,),
)
def open_incident(caller: Caller, body: schemas.IncidentIn) -> schemas.IncidentOut:
    """For what maild did not notice by itself. Where the message belongs to an incident that is not
    resolved, that one is the answer.
    """
    message_id = ids.parse_id(body.message_id)
    if message_id is None:
        raise NotFound("There is no such message in this workspace.")
    incident = incidents.open_by_hand(
        caller.workspace_id(body.workspace_id),
        message_id,
        title=body.title,
        note=body.note,
        by=caller.actor,
    )
    return _answer(incident)


@endpoint(
    "POST",
    f"{_ONE}/acknowledge",
    summary="Say that somebody looks after it",
    allow=OPERATORS,
    body=schemas.IncidentAcknowledge,
    answer=schemas.IncidentOut,
    raises=(Conflict,),
)
def acknowledge_incident(
    caller: Caller, body: schemas.IncidentAcknowledge, incident_id: str
) -> schemas.IncidentOut:
    """It is assigned to nobody by that. Doing it again changes nothing."""
    return _do(incidents.acknowledge, caller, body, incident_id)


@endpoint(
    "POST",
    f"{_ONE}/assign",
    summary="Give it to a member, or to nobody",
    allow=OPERATORS,
    body=schemas.IncidentAssign,
    answer=schemas.IncidentOut,
    raises=(Conflict,),
)
def assign_incident(
    caller: Caller, body: schemas.IncidentAssign, incident_id: str
) -> schemas.IncidentOut:
    """`to` is the address of a member; null gives it to nobody."""
    return _do(incidents.assign, caller, body, incident_id, to=body.to)


@endpoint(
    "POST",
    f"{_ONE}/note",
    summary="Write something down",
    allow=OPERATORS,
    body=schemas.IncidentNote,
    answer=schemas.IncidentOut,
    raises=(Conflict,),
)
def add_incident_note(
    caller: Caller, body: schemas.IncidentNote, incident_id: str
) -> schemas.IncidentOut:
    """The note stands on the incident's timeline and in its bundle."""
    return _do(incidents.note, caller, body, incident_id, text=body.text)


@endpoint(
    "POST",
    f"{_ONE}/severity",
    summary="Say how bad it is",
    allow=OPERATORS,
    body=schemas.IncidentSeverityIn,
    answer=schemas.IncidentOut,
    raises=(Conflict,),
)
def set_incident_severity(
    caller: Caller, body: schemas.IncidentSeverityIn, incident_id: str
) -> schemas.IncidentOut:
    """From then on it does not change by itself."""
    return _do(incidents.set_severity, caller, body, incident_id, severity=body.severity)


@endpoint(
    "POST",
    f"{_ONE}/resolve",
    summary="Say that it is over, and what it was",
    allow=OPERATORS,
    body=schemas.IncidentResolve,
    answer=schemas.IncidentOut,
    raises=(Conflict,),
)
def resolve_incident(
    caller: Caller, body: schemas.IncidentResolve, incident_id: str
) -> schemas.IncidentOut:
    """`cause` is kept for the next time. If it goes on, maild reopens it."""
    return _do(incidents.resolve, caller, body, incident_id, cause=body.cause)


@endpoint(
    "POST",
    f"{_ONE}/reopen",
    summary="Say that it is not over after all",
    allow=OPERATORS,
    body=schemas.IncidentReopen,
    answer=schemas.IncidentOut,
    raises=(Conflict,),
)
def reopen_incident(
    caller: Caller, body: schemas.IncidentReopen, incident_id: str
) -> schemas.IncidentOut:
    """Only a resolved incident can be reopened."""
    return _do(incidents.reopen, caller, body, incident_id, reason=body.reason)


@endpoint(
    "POST",
    f"{_ONE}/merge",
    summary="Make it part of another one, which is the answer",
    allow=OPERATORS,
    body=schemas.IncidentMerge,
    answer=schemas.IncidentOut,
    raises=(Conflict,),
)
def merge_incident(
    caller: Caller, body: schemas.IncidentMerge, incident_id: str
) -> schemas.IncidentOut:
    """Its signals, messages and notes become part of the other incident."""
    return _do(incidents.merge, caller, body, incident_id, into_id=body.into_id)


def _do(
    verb: Callable[..., Incident], caller: Caller, body: Any, incident_id: str, **fields: Any
) -> schemas.IncidentOut:
    """What a person does to an incident, and how it is then."""
    workspace_id = caller.workspace_id(body.workspace_id)
    incident = verb(workspace_id, _id(incident_id), **fields, version=body.version, by=caller.actor)
    return _answer(incident)


def _id(text: str) -> int:
    """Raises NotFound where no incident can have it."""
    if len(text) > len(str(ID_MAX)) or int(text) > ID_MAX:
        raise NotFound(incidents.NO_SUCH)
    return int(text)


def _fields(incident: Incident) -> dict[str, Any]:
    names = set(schemas.IncidentOut.model_fields) - {"merged_into"}
    return {
        **{name: getattr(incident, name) for name in names},
        "merged_into": incident.merged_into_id,
    }


def _answer(incident: Incident) -> schemas.IncidentOut:
    return schemas.IncidentOut(**_fields(incident))


def _signal(signal: IncidentSignal) -> schemas.SignalOut:
    return schemas.SignalOut(
        kind=signal.kind,
        error_class=signal.error_class,
        smtp_account=signal.smtp_account,
        recipient_domain=signal.recipient_domain,
        first_seen_at=signal.first_seen_at,
        last_seen_at=signal.last_seen_at,
        is_active=signal.is_active if signal.is_state else None,
    )


def _entry(one: IncidentEntry | Event) -> schemas.StoryEntryOut:
    if isinstance(one, Event):
        return schemas.StoryEntryOut(
            at=one.created_at, kind=one.type, actor=None, text=None, data=one.data
        )
    return schemas.StoryEntryOut(
        at=one.created_at, kind=one.kind.value, actor=one.actor, text=one.text, data=one.data
    )
