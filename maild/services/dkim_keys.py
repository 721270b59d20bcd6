"""A workspace's DKIM keys: making them, letting them sign, and taking them out of use.

A key is prepared, then active, then retiring, then retired (`domain.dkim.KeyState`). It signs only
once its record has been seen in the DNS, or a person insists; the one before it stays published for
RETIRING_DAYS, for the mail that is under way. In charge of the states, and of who changed them.
Looking at the DNS is `dkim_checks`, signing `dkim_signers`.
"""

import base64
import secrets as random
from collections.abc import Sequence
from dataclasses import dataclass

import peewee
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from maild import clock, log
from maild.db import database
from maild.domain.actor import SYSTEM, Actor
from maild.domain.dkim import Algorithm, KeyState, RecordState
from maild.domain.incident import IncidentKind
from maild.errors import Conflict, FieldError, InvalidFields, NotFound
from maild.models import DkimKey, Domain
from maild.services import (
    addresses,
    audit,
    dkim_signers,
    incident_signals,
    secrets,
    workspaces,
)

RSA_BITS = 2048  # RFC 8301 3.2; a key of 4,096 bits does not fit into what many receivers take
RETIRING_DAYS = 7
"""For so long the record of a key that signs no more should stay (RFC 6376 3.6: mail may wait in
queues for days).
"""
LIVE_KEYS_MAX = 100
"""Keys of a workspace that are not retired."""
DOMAIN_KEYS_MAX = 50
"""Keys of a domain that a page shows: the newest."""

_LIVING = (KeyState.PREPARED, KeyState.ACTIVE)

logger = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """Newest first; `older` is the id after which the next page begins."""

    keys: list[DkimKey]
    older: int | None


def prepare(
    workspace_id: int,
    domain: str,
    *,
    algorithms: Sequence[Algorithm] = (Algorithm.RSA,),
    by: Actor,
) -> list[DkimKey]:
    """Make a key of each algorithm, whose records are to be published now.

    The same is done to replace a key that signs: the new one takes over from it. Raises
    InvalidFields for what is no domain; NotFound for the workspace; Conflict where a key of the
    algorithm waits for its record already, or there are too many.
    """
    name = normalise(domain)
    wanted = list(dict.fromkeys(algorithms))
    if not wanted:
        raise InvalidFields(
            "algorithms: name at least one",
            errors=[FieldError("algorithms", "name at least one")],
        )
    made = [(algorithm, *_generate(algorithm)) for algorithm in wanted]  # takes its time
    stem = f"md{clock.now():%y%m%d}{random.token_hex(2)}"
    keys: list[DkimKey] = []
    with database.atomic():
        workspaces.take_turns(workspace_id)
        _refuse_too_many(workspace_id, name, wanted)
        for algorithm, pem, public_key in made:
            key_id = database.execute_sql("SELECT nextval('dkim_keys_id_seq')").fetchone()[0]
            place = dkim_signers.place_of(workspace_id, key_id)
            [key] = (
                DkimKey.insert(
                    id=key_id,
                    workspace=workspace_id,
                    domain=name,
                    selector=f"{stem}{algorithm.value[0]}",
                    algorithm=algorithm,
                    public_key=public_key,
                    private_key_encrypted=secrets.encrypt(pem, place=place),
                    state=KeyState.PREPARED,
                    created_by=by.name,
                )
                .returning(DkimKey)
                .execute()
            )
            keys.append(key)
            _tell(key, by, "dkim_key.prepared", after={"algorithm": algorithm.value})
    return keys


def rotate(workspace_id: int, key_id: int, *, by: Actor) -> list[DkimKey]:
    """Prepare a key that takes over from this one. Raises NotFound, and Conflict as `prepare`."""
    old = get(workspace_id, key_id)
    return prepare(workspace_id, old.domain, algorithms=[old.algorithm], by=by)


def activate(
    workspace_id: int, key_id: int, *, insist: bool = False, by: Actor = SYSTEM
) -> DkimKey:
    """Let a key sign from now on, in place of the one of its algorithm that did.

    A retiring key may sign again. Raises NotFound; Conflict where its record was not seen as it
    must be when the DNS was last asked, unless a person insists, and for a key that is retired.
    """
    with database.atomic():
        workspaces.take_turns(workspace_id)
        key = get(workspace_id, key_id)
        if key.state is KeyState.ACTIVE:
            return key
        if key.state is KeyState.RETIRED:
            raise Conflict("This key is retired, and its private half is gone. Make a new one.")
        if key.record_state is not RecordState.PUBLISHED and not insist:
            raise Conflict(
                "The DNS does not show this key's record yet, so receivers could not check what it"
                " signs. Publish the record, let maild look again, or insist."
            )
        before = _find_active(key)
        if before is not None:
            _begin_retiring(before)
        _set(
            key,
            state=KeyState.ACTIVE,
            activated_at=peewee.fn.now(),
            retiring_at=None,
            retire_at=None,
        )
        _tell(
            key,
            by,
            "dkim_key.activated",
            before={"signed_until_now": before.selector} if before else None,
            after={"record": key.record_state.value, "insisted": insist},
        )
    dkim_signers.forget(workspace_id)
    logger.info("dkim_key.activated", workspace_id=workspace_id, selector=key.selector)
    return get(workspace_id, key_id)


def retire(workspace_id: int, key_id: int, *, at_once: bool = False, by: Actor = SYSTEM) -> DkimKey:
    """Take a key out of use: an active one signs no more and retires in RETIRING_DAYS; a prepared
    one, and any with `at_once`, is retired now, and its private half is gone.

    One that is retiring, or retired, stays so, and that is no error: a request that comes twice
    goes no further than the first. Raises NotFound.
    """
    with database.atomic():
        workspaces.take_turns(workspace_id)
        key = get(workspace_id, key_id)
        if key.state is KeyState.RETIRED or (key.state is KeyState.RETIRING and not at_once):
            return key
        if key.state is KeyState.ACTIVE and not at_once:
            _begin_retiring(key)
            _tell(key, by, "dkim_key.stopped", before={"state": key.state.value})
        else:
            _retire(key, by=by)
    dkim_signers.forget(workspace_id)
    return get(workspace_id, key_id)


def retire_due() -> int:
    """Retire the keys whose time to stay published is over; returns how many."""
    is_due = (DkimKey.state == KeyState.RETIRING) & (DkimKey.retire_at <= peewee.fn.now())
    due = list(DkimKey.select().where(is_due).order_by(DkimKey.id).limit(LIVE_KEYS_MAX))
    count = 0
    for one in due:
        with database.atomic():
            workspaces.take_turns(one.workspace_id)
            # Somebody may have let it sign again meanwhile.
            key = DkimKey.get_or_none(is_due, DkimKey.id == one.id)
            if key is not None:
                _retire(key, by=SYSTEM)
                count += 1
    return count


def get(workspace_id: int, key_id: int) -> DkimKey:
    """Raises NotFound."""
    key: DkimKey | None = DkimKey.get_or_none(
        DkimKey.workspace == workspace_id, DkimKey.id == key_id
    )
    if key is None:
        raise NotFound("There is no such DKIM key.")
    return key


def list_of_domain(workspace_id: int, domain: str) -> list[DkimKey]:
    """A domain's keys, the newest first, DOMAIN_KEYS_MAX at most. Raises InvalidFields."""
    return list(
        DkimKey.select()
        .where(DkimKey.workspace == workspace_id, DkimKey.domain == normalise(domain))
        .order_by(DkimKey.id.desc())
        .limit(DOMAIN_KEYS_MAX)
    )


def list_unlisted(workspace_id: int) -> list[str]:
    """Domains of keys that sign, or will, which are not among the workspace's sending domains, in
    the form in which those have theirs: nobody would see these keys otherwise.
    """
    found = (
        DkimKey.select(DkimKey.domain)
        .distinct()
        .where(DkimKey.workspace == workspace_id, DkimKey.state.in_(_LIVING))
        .limit(LIVE_KEYS_MAX)
    )
    names = {addresses.parse_domain(key.domain) for key in found}
    listed = Domain.select(Domain.name).where(
        Domain.workspace == workspace_id, Domain.name.in_(list(names))
    )
    return sorted(names - {row.name for row in listed}) if names else []


def list_page(
    workspace_id: int, *, domain: str | None = None, limit: int = 50, before: int | None = None
) -> Page:
    """A workspace's keys. Raises NotFound, for the workspace, and InvalidFields."""
    query = DkimKey.select().where(DkimKey.workspace == workspace_id)
    if domain is not None:
        query = query.where(DkimKey.domain == normalise(domain))
    if before is not None:
        query = query.where(DkimKey.id < before)
    rows = list(query.order_by(DkimKey.id.desc()).limit(limit + 1))
    if not rows:
        workspaces.require(workspace_id)
    has_more, rows = len(rows) > limit, rows[:limit]
    return Page(rows, rows[-1].id if has_more else None)


def normalise(domain: str) -> str:
    """The form in which a key has its domain: lower case, A-labels. Raises InvalidFields."""
    try:
        return addresses.to_ascii(addresses.parse_domain(domain))
    except ValueError as error:
        raise InvalidFields(f"domain: {error}", errors=[FieldError("domain", str(error))]) from None


def _generate(algorithm: Algorithm) -> tuple[str, str]:
    """A new key: its private half as PEM, and the `p=` of its record (RFC 6376 3.6.1: the
    SubjectPublicKeyInfo; RFC 8463 4: the 32 octets alone).
    """
    if algorithm is Algorithm.RSA:
        rsa = generate_private_key(public_exponent=65537, key_size=RSA_BITS)
        public = rsa.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        pem = rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    else:
        ed25519 = Ed25519PrivateKey.generate()
        public = ed25519.public_key().public_bytes_raw()
        pem = ed25519.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode(), base64.b64encode(public).decode()


def _refuse_too_many(workspace_id: int, domain: str, algorithms: Sequence[Algorithm]) -> None:
    live = list(
        DkimKey.select(DkimKey.domain, DkimKey.algorithm, DkimKey.state)
        .where(DkimKey.workspace == workspace_id, DkimKey.state != KeyState.RETIRED)
        .limit(LIVE_KEYS_MAX)
    )
    if len(live) + len(algorithms) > LIVE_KEYS_MAX:
        raise Conflict(
            f"A workspace has {LIVE_KEYS_MAX} keys in use at most. Retire some of them first."
        )
    waiting = {
        key.algorithm for key in live if key.domain == domain and key.state is KeyState.PREPARED
    }
    for algorithm in algorithms:
        if algorithm in waiting:
            raise Conflict(
                f"A key for {algorithm.value} waits for its record already. Publish that, or retire"
                " it first."
            )


def _find_active(key: DkimKey) -> DkimKey | None:
    """The key that signs for the same domain with the same algorithm."""
    return DkimKey.get_or_none(
        DkimKey.workspace == key.workspace_id,
        DkimKey.domain == key.domain,
        DkimKey.algorithm == key.algorithm,
        DkimKey.state == KeyState.ACTIVE,
    )


def incident_key(key: DkimKey) -> str:
    """What an incident of its record is known by."""
    return f"dkim {key.selector} {key.domain}"


def _retire(key: DkimKey, *, by: Actor) -> None:
    _clear_incident(key)
    _set(key, state=KeyState.RETIRED, private_key_encrypted=None, retired_at=peewee.fn.now())
    _tell(key, by, "dkim_key.retired", before={"state": key.state.value})


def _clear_incident(key: DkimKey) -> None:
    """Nobody fails what it does not sign."""
    incident_signals.clear_state(key.workspace_id, kind=IncidentKind.DOMAIN, key=incident_key(key))


def _begin_retiring(key: DkimKey) -> None:
    _clear_incident(key)
    now = peewee.fn.now()
    _set(
        key,
        state=KeyState.RETIRING,
        retiring_at=now,
        retire_at=now + peewee.SQL("%s * interval '1 day'", (RETIRING_DAYS,)),
    )


def _set(key: DkimKey, **values: object) -> None:
    """Writers of a workspace take turns, so the row is still what it was read as."""
    DkimKey.update(**values).where(DkimKey.id == key.id).execute()


def _tell(
    key: DkimKey,
    by: Actor,
    action: str,
    *,
    before: dict[str, object] | None = None,
    after: dict[str, object] | None = None,
) -> None:
    audit.record(
        key.workspace_id,
        by,
        action=action,
        target=f"DKIM key {key.selector} for {key.domain}",
        before=before,
        after=after,
    )
