"""/v1/domains/dkim-keys: the keys that sign a domain's mail. A private half never comes out."""

from collections.abc import Sequence

from maild.api import schemas
from maild.api.auth import ADMINS, READERS, Caller
from maild.api.endpoint import endpoint
from maild.api.query import parse_serial_cursor
from maild.domain import dkim, serial_cursor
from maild.errors import Conflict, RateLimited
from maild.models import DkimKey
from maild.services import dkim_checks, dkim_keys, domain_checks


@endpoint(
    "GET",
    "/v1/domains/dkim-keys",
    summary="The DKIM keys of a workspace, newest first, each with the record that it needs",
    allow=READERS,
    query=schemas.DkimKeyQuery,
    answer=schemas.DkimKeyPage,
)
def list_dkim_keys(caller: Caller, query: schemas.DkimKeyQuery) -> schemas.DkimKeyPage:
    """Also those that are retired. The private half of a key is in no answer."""
    workspace_id = caller.workspace_id(query.workspace_id)
    page = dkim_keys.list_page(
        workspace_id,
        domain=query.domain,
        limit=query.limit,
        before=parse_serial_cursor(query.cursor),
    )
    return schemas.DkimKeyPage(
        workspace_id=workspace_id,
        count=len(page.keys),
        keys=[_describe(key) for key in page.keys],
        next_cursor=None if page.older is None else serial_cursor.write(page.older),
    )


@endpoint(
    "POST",
    "/v1/domains/dkim-keys",
    summary="Make keys for a domain; they sign once their records are seen in the DNS",
    allow=ADMINS,
    body=schemas.DkimKeyIn,
    answer=schemas.DkimKeyList,
    status=201,
    raises=(Conflict,),
)
def prepare_dkim_keys(caller: Caller, body: schemas.DkimKeyIn) -> schemas.DkimKeyList:
    """Publish the `record` of each key in the DNS. The key signs by itself once the record is seen
    there.
    """
    workspace_id = caller.workspace_id(body.workspace_id)
    made = dkim_keys.prepare(workspace_id, body.domain, algorithms=body.algorithms, by=caller.actor)
    return _list(workspace_id, made)


@endpoint(
    "POST",
    "/v1/domains/dkim-keys/rotate",
    summary="Make a key that takes over from this one once its record is seen",
    allow=ADMINS,
    body=schemas.DkimKeyRotation,
    answer=schemas.DkimKeyList,
    status=201,
    raises=(Conflict,),
)
def rotate_dkim_key(caller: Caller, body: schemas.DkimKeyRotation) -> schemas.DkimKeyList:
    """The old key goes on signing until the record of the new one is seen, and stays valid for a
    time after.
    """
    workspace_id = caller.workspace_id(body.workspace_id)
    return _list(workspace_id, dkim_keys.rotate(workspace_id, body.id, by=caller.actor))


@endpoint(
    "POST",
    "/v1/domains/dkim-keys/activate",
    summary="Look at the DNS, and let a key sign whose record is there",
    allow=ADMINS,
    body=schemas.DkimKeyActivation,
    answer=schemas.DkimKeyOut,
    raises=(Conflict, RateLimited),
)
def activate_dkim_key(caller: Caller, body: schemas.DkimKeyActivation) -> schemas.DkimKeyOut:
    """Looks at the DNS first, and refuses a key whose record is not there unless you `insist`."""
    workspace_id = caller.workspace_id(body.workspace_id)
    if not body.insist:
        domain_checks.count_call(workspace_id)
    key = dkim_checks.activate(workspace_id, body.id, insist=body.insist, by=caller.actor)
    return _describe(key)


@endpoint(
    "POST",
    "/v1/domains/dkim-keys/retire",
    summary="Take a key out of use: first it signs no more, then its record may be removed",
    allow=ADMINS,
    body=schemas.DkimKeyRetirement,
    answer=schemas.DkimKeyOut,
    raises=(Conflict,),
)
def retire_dkim_key(caller: Caller, body: schemas.DkimKeyRetirement) -> schemas.DkimKeyOut:
    """A key that signs begins to retire: mail under way can still be verified. `at_once` ends it
    now.
    """
    workspace_id = caller.workspace_id(body.workspace_id)
    key = dkim_keys.retire(workspace_id, body.id, at_once=body.at_once, by=caller.actor)
    return _describe(key)


def _list(workspace_id: int, keys: Sequence[DkimKey]) -> schemas.DkimKeyList:
    return schemas.DkimKeyList(
        workspace_id=workspace_id, count=len(keys), keys=[_describe(key) for key in keys]
    )


def _describe(key: DkimKey) -> schemas.DkimKeyOut:
    value = dkim.record_value(key.algorithm, key.public_key)
    return schemas.DkimKeyOut(
        workspace_id=key.workspace_id,
        id=key.id,
        domain=key.domain,
        selector=key.selector,
        algorithm=key.algorithm,
        state=key.state,
        record=schemas.DnsRecordOut(
            name=dkim.record_name(key.selector, key.domain),
            type="TXT",
            value=value,
            zone_value=dkim.zone_value(value),
        ),
        record_state=key.record_state,
        record_found=key.record_found,
        checked_at=key.checked_at,
        seen_at=key.seen_at,
        created_at=key.created_at,
        created_by=key.created_by,
        activated_at=key.activated_at,
        retiring_at=key.retiring_at,
        retire_at=key.retire_at,
        retired_at=key.retired_at,
    )
