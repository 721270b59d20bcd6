"""The second factor: codes of an authenticator app (TOTP, RFC 6238), and codes to recover with.

A code is taken once (RFC 6238 5.2), one time step early or late. A recovery code is taken once, and
kept as a hash.
"""

import hmac
import re
import secrets as random
from dataclasses import dataclass
from enum import Enum

import peewee
import pyotp

from maild import clock, log
from maild.db import database
from maild.domain.actor import Actor
from maild.errors import Conflict, FieldError
from maild.models import Person, RecoveryCode
from maild.services import audit, people, secrets, tokens
from maild.services.workspaces import MAILDS_OWN_ID

ISSUER = "maild"
STEP_SECONDS = 30
DRIFT_STEPS = 1
SETUP_MINUTES = 30
"""So long a secret is shown that is not enabled yet; whoever begins later gets another one."""
RECOVERY_CODES = 10
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""What nobody takes one for another."""
_GROUPS, _GROUP_CHARS = 5, 5  # of 31 characters: 123 bits, which need no slow hash

logger = log.get(__name__)


class Proof(Enum):
    """What somebody has shown."""

    APP = "a code of the app"
    RECOVERY_CODE = "a recovery code"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an authenticator app is told: by its QR code the `uri`, by hand the `secret`."""

    secret: str
    uri: str


def begin(person_id: int) -> Enrolment:
    """The secret of a second factor that is being set up: for SETUP_MINUTES the same, so that a
    page may be loaded again. Not for longer: it is shown without a password, and whoever found an
    open browser must not know the secret that is enabled one day.

    Raises Conflict where one is enabled already, and where the person's address is not confirmed:
    it may be somebody else's, who could never sign in with it then.
    """
    with database.atomic():
        person = _lock(person_id)
        if person.totp_enabled_at is not None:
            raise Conflict("The second factor is on already. Turn it off to set up another one.")
        if person.email_verified_at is None:
            raise Conflict("Confirm your address first: follow the link that was mailed to it.")
        if _is_being_set_up(person):
            secret = _secret(person)
        else:
            secret = pyotp.random_base32()
            Person.update(
                totp_secret_encrypted=secrets.encrypt(secret, place=_place(person.id)),
                totp_last_step=_step_now() - DRIFT_STEPS - 1,  # every code that fits is fresh
            ).where(Person.id == person.id).execute()
    uri = pyotp.TOTP(secret).provisioning_uri(name=person.email, issuer_name=ISSUER)
    return Enrolment(secret, uri)


def enable(person_id: int, *, password: str, code: str, by: Actor) -> list[str]:
    """Turn it on, with a code that shows that the app works; returns the recovery codes, which are
    kept nowhere. Raises InvalidFields, and Conflict where it is on already or was never begun.
    """
    known = people.require_password(person_id, password)
    with database.atomic():
        person = _lock_unchanged(known)
        if person.totp_enabled_at is not None or person.totp_secret_encrypted is None:
            raise Conflict("The second factor is on already, or its setting up was not begun.")
        if not _take_code(person, code):
            raise people.invalid(FieldError("code", "is not the code that the app shows now"))
        Person.update(totp_enabled_at=peewee.fn.now()).where(Person.id == person.id).execute()
        codes = _make_codes(person.id)
        audit.record(MAILDS_OWN_ID, by, action="second_factor.enabled", target=person.email)
    logger.warning("second_factor.enabled", person_id=person.id)
    return codes


def check(person_id: int, code: str, *, by: Actor) -> Proof | None:
    """What the code is, if it is one of the person's. It is used up by that."""
    with database.atomic():
        person = _lock(person_id)
        if person.totp_enabled_at is None:
            return None
        if _take_code(person, code):
            return Proof.APP
        if not _take_recovery_code(person, code):
            return None
        audit.record(
            MAILDS_OWN_ID, by, action="second_factor.recovery_code_used", target=person.email
        )
        return Proof.RECOVERY_CODE


def renew_codes(person_id: int, *, password: str, by: Actor) -> list[str]:
    """New recovery codes in place of all before. Raises InvalidFields, Conflict."""
    known = people.require_password(person_id, password)
    with database.atomic():
        person = _lock_unchanged(known)
        if person.totp_enabled_at is None:
            raise Conflict("The second factor is off.")
        codes = _make_codes(person.id)
        audit.record(MAILDS_OWN_ID, by, action="second_factor.codes_renewed", target=person.email)
    return codes


def disable(person_id: int, *, password: str, by: Actor) -> None:
    """Turn it off. Raises InvalidFields."""
    known = people.require_password(person_id, password)
    with database.atomic():
        _lock_unchanged(known)
        remove(person_id, by=by)


def remove(person_id: int, *, by: Actor) -> None:
    """Turn it off without asking: for the command line, where a person has lost everything."""
    with database.atomic():
        person = _lock(person_id)
        RecoveryCode.delete().where(RecoveryCode.person == person.id).execute()
        Person.update(totp_secret_encrypted=None, totp_enabled_at=None, totp_last_step=None).where(
            Person.id == person.id
        ).execute()
        if person.totp_enabled_at is not None:
            audit.record(MAILDS_OWN_ID, by, action="second_factor.disabled", target=person.email)
            logger.warning("second_factor.disabled", person_id=person.id)


def count_codes(person_id: int) -> int:
    """How many recovery codes are left."""
    count: int = (
        RecoveryCode.select()
        .where(RecoveryCode.person == person_id, RecoveryCode.used_at.is_null())
        .count()
    )
    return count


def _lock(person_id: int) -> Person:
    """The row, which nobody else changes until the end of the transaction. Raises NotFound."""
    row: Person | None = Person.select().where(Person.id == person_id).for_update().first()
    return row or people.get(person_id)


def _is_being_set_up(person: Person) -> bool:
    """Whether the secret is one that was begun a while ago, and not longer."""
    if person.totp_secret_encrypted is None or person.totp_last_step is None:
        return False
    steps = SETUP_MINUTES * 60 // STEP_SECONDS
    return _step_now() - person.totp_last_step < steps


def _step_now() -> int:
    return int(clock.now().timestamp()) // STEP_SECONDS


def _lock_unchanged(known: Person) -> Person:
    """The row, where the password is still what it was when it was shown. A change in between, by
    the owner of a taken account, shall be the last word. Raises InvalidFields.
    """
    person = _lock(known.id)
    if person.password_hash != known.password_hash:
        raise people.invalid(FieldError("password", "was changed a moment ago"))
    return person


def _take_code(person: Person, code: str) -> bool:
    code = re.sub(r"\s", "", code)
    if not re.fullmatch(r"\d{6}", code, re.ASCII):
        return False
    totp = pyotp.TOTP(_secret(person))
    now = _step_now()
    for step in range(now - DRIFT_STEPS, now + DRIFT_STEPS + 1):
        is_fresh = person.totp_last_step is None or step > person.totp_last_step
        if is_fresh and hmac.compare_digest(totp.generate_otp(step), code):
            Person.update(totp_last_step=step).where(Person.id == person.id).execute()
            return True
    return False


def _take_recovery_code(person: Person, code: str) -> bool:
    taken = (
        RecoveryCode.update(used_at=peewee.fn.now())
        .where(
            RecoveryCode.person == person.id,
            RecoveryCode.code_hash == _hash_of(code),
            RecoveryCode.used_at.is_null(),
        )
        .execute()
    )
    if taken:
        logger.warning("second_factor.recovery_code_used", person_id=person.id)
    return bool(taken)


def _make_codes(person_id: int) -> list[str]:
    codes = [
        "-".join(
            "".join(random.choice(_ALPHABET) for _ in range(_GROUP_CHARS)) for _ in range(_GROUPS)
        )
        for _ in range(RECOVERY_CODES)
    ]
    RecoveryCode.delete().where(RecoveryCode.person == person_id).execute()
    RecoveryCode.insert_many(
        [{"person": person_id, "code_hash": _hash_of(code)} for code in codes]
    ).execute()
    return codes


def _hash_of(code: str) -> bytes:
    return tokens.hash_of(re.sub(r"[\s-]", "", code).lower())


def _secret(person: Person) -> str:
    assert person.totp_secret_encrypted is not None
    return secrets.decrypt(person.totp_secret_encrypted, place=_place(person.id))


def _place(person_id: int) -> str:
    return secrets.place_of(MAILDS_OWN_ID, "people", person_id, "totp_secret")
