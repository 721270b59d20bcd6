"""The second factor: codes of an app, each taken once, and codes to recover with."""

import datetime as dt
import hashlib
import re

import pyotp
import pytest
import time_machine

from maild.domain.actor import SYSTEM, Actor
from maild.errors import Conflict, DecryptionError, InvalidFields, NotFound
from maild.models import Person, RecoveryCode
from maild.services import key_rotation, mailed_links, passwords, second_factors, secrets
from maild.services.second_factors import RECOVERY_CODES, SETUP_MINUTES
from tests.conftest import PASSWORD
from tests.services.helpers import at_once
from tests.services.peopling import (
    BY,
    MakePerson,
    UseSettings,
    actions,
    entries,
    everything_stored,
    race,
    reload,
)

EMAIL = "ann@example.org"
NOON = dt.datetime(2027, 3, 14, 12, 0, 10, tzinfo=dt.UTC)
STEP = dt.timedelta(seconds=30)
KEY_1, KEY_2 = (bytes([number]) * 32 for number in (1, 2))


@pytest.fixture
def clock():
    """The host's clock stands still; `move_to` and `shift` set it."""
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def ann(make_person: MakePerson, clock: time_machine.Traveller) -> Person:
    return reload(make_person(EMAIL))


@pytest.fixture
def app(ann):
    """The authenticator app of Ann, who has just begun."""
    return pyotp.TOTP(second_factors.begin(ann.id).secret)


@pytest.fixture
def codes(ann, app, clock):
    """Her recovery codes: it is on, and a while has passed since."""
    made = enable(ann, app)
    clock.shift(5 * STEP)
    return made


def enable(person, app, *, code=None, password=PASSWORD):
    code = code or code_of(app)
    return second_factors.enable(person.id, password=password, code=code, by=BY)


def code_of(app, *, steps=0):
    """What the app shows, so many steps from now."""
    return app.at(dt.datetime.now(dt.UTC) + steps * STEP)


def check(person, code):
    return second_factors.check(person.id, code, by=BY) is not None


def test_an_app_reads_the_secret_from_the_uri(ann):
    enrolment = second_factors.begin(ann.id)
    told = pyotp.parse_uri(enrolment.uri)
    assert (told.secret, told.name, told.issuer) == (enrolment.secret, EMAIL, "maild")
    assert (told.interval, told.digits) == (30, 6)
    assert re.fullmatch(r"[A-Z2-7]{32}", enrolment.secret)  # 160 bits, as RFC 4226 4 asks for


def test_the_secret_is_the_same_while_it_is_being_set_up(ann, clock):
    first = second_factors.begin(ann.id)
    clock.shift(60 * (SETUP_MINUTES - 2))
    assert second_factors.begin(ann.id) == first
    code = pyotp.TOTP(first.secret).now()
    assert enable(ann, pyotp.TOTP(first.secret), code=code)


def test_a_secret_that_was_begun_long_ago_is_never_enabled(ann, app, clock):
    """Somebody who found an open browser has seen it, without a password."""
    clock.shift(60 * (SETUP_MINUTES + 1))
    fresh = second_factors.begin(ann.id)
    assert fresh.secret != app.secret
    with pytest.raises(InvalidFields):
        enable(ann, app)
    assert enable(ann, pyotp.TOTP(fresh.secret))


def test_every_person_has_a_secret_of_their_own(ann, app, make_person):
    assert second_factors.begin(make_person("ben@example.org").id).secret != app.secret


def test_setting_up_asks_nobody_for_a_code_yet(ann, app):
    assert not check(ann, code_of(app))
    assert reload(ann).totp_enabled_at is None
    assert second_factors.count_codes(ann.id) == 0


def test_it_is_turned_on_with_password_and_code(ann, app):
    made = enable(ann, app)
    assert reload(ann).totp_enabled_at is not None
    assert second_factors.count_codes(ann.id) == len(set(made)) == RECOVERY_CODES
    assert actions() == [("second_factor.enabled", EMAIL)]


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"password": "not it"}, "password"), ({"password": ""}, "password"), ({"code": "x"}, "code")],
)
def test_without_one_of_them_it_stays_off(ann, app, fields, field):
    with pytest.raises(InvalidFields) as caught:
        enable(ann, app, **fields)
    assert [error.field for error in caught.value.errors] == [field]
    assert reload(ann).totp_enabled_at is None
    assert RecoveryCode.select().count() == 0
    assert actions() == []
    assert enable(ann, app)


def test_what_was_not_begun_cannot_be_turned_on(ann):
    with pytest.raises(Conflict):
        enable(ann, pyotp.TOTP(pyotp.random_base32()))


def test_it_is_turned_on_once(ann, app, codes):
    for again in (lambda: second_factors.begin(ann.id), lambda: enable(ann, app)):
        with pytest.raises(Conflict):
            again()
    assert check(ann, codes[0])


def test_of_two_who_turn_it_on_at_once_one_does(ann, app):
    code = code_of(app)
    made: list[str] = []
    ends = race(*[lambda: made.extend(enable(ann, app, code=code))] * 2, losing=Conflict)
    assert ends == ["lost", "won"]
    assert second_factors.count_codes(ann.id) == RECOVERY_CODES
    assert check(ann, made[0])


def test_of_two_who_begin_at_once_both_see_the_same_secret(ann):
    seen: set[str] = set()
    at_once(*[lambda: seen.add(second_factors.begin(ann.id).secret)] * 3)
    assert len(seen) == 1


def test_an_address_that_is_not_confirmed_gets_none(make_person, clock):
    """Whoever signs up with somebody's address must not lock them out of it for good."""
    mallory = make_person("victim@example.org", is_verified=False)
    with pytest.raises(Conflict):
        second_factors.begin(mallory.id)
    assert reload(mallory).totp_secret_encrypted is None


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_code_may_be_one_step_early_or_late(ann, app, codes, steps):
    assert check(ann, code_of(app, steps=steps))


@pytest.mark.parametrize("steps", [-100, -3, -2, 2, 3, 100])
def test_a_code_of_another_time_is_refused(ann, app, codes, steps):
    assert not check(ann, code_of(app, steps=steps))


def test_a_code_is_taken_once(ann, app, codes, clock):
    code = code_of(app)
    assert check(ann, code)
    assert not check(ann, code)
    clock.shift(STEP)
    assert not check(ann, code)
    assert check(ann, code_of(app))


def test_a_code_from_before_the_last_one_is_refused(ann, app, codes):
    assert check(ann, code_of(app, steps=1))
    assert not check(ann, code_of(app))
    assert not check(ann, code_of(app, steps=-1))


def test_the_code_that_turned_it_on_signs_nobody_in(ann, app):
    code = code_of(app)
    enable(ann, app, code=code)
    assert not check(ann, code)
    assert check(ann, code_of(app, steps=1))


def test_of_two_who_have_one_code_at_once_one_is_let_in(ann, app, codes):
    code = code_of(app)
    let_in: list[bool] = []
    at_once(*[lambda: let_in.append(check(ann, code))] * 4)
    assert sorted(let_in) == [False, False, False, True]


@pytest.mark.parametrize("shape", ["{0}", "{1} {2}", " {0}\n", "{1}\u00a0{2}", "{1}\t{2}"])
def test_a_code_may_be_typed_with_spaces(ann, app, codes, shape):
    code = code_of(app)
    assert check(ann, shape.format(code, code[:3], code[3:]))


@pytest.mark.parametrize(
    "change",
    [
        lambda code: "",
        lambda code: code[:-1],
        lambda code: code + "0",
        lambda code: code + code,
        lambda code: code.translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")),
        lambda code: code.translate(str.maketrans("0123456789", "０１２３４５６７８９")),
        lambda code: code + "\0",
        lambda code: f"{code[:3]}-{code[3:]}",
        lambda code: f"+{code}",
        lambda code: "\ud800" * 6,
        lambda code: "0" * 100_000,
        lambda code: "a" * 12,
        lambda code: "----",
        lambda code: str((int(code) + 1) % 1_000_000).zfill(6),
    ],
)  # fmt: skip
def test_what_is_no_code_is_refused_and_uses_none_up(ann, app, codes, change):
    code = code_of(app)
    assert not check(ann, change(code))
    assert check(ann, code)
    assert second_factors.count_codes(ann.id) == RECOVERY_CODES


def test_a_code_of_somebody_elses_app_is_refused(ann, app, codes, make_person):
    ben = make_person("ben@example.org")
    bens = pyotp.TOTP(second_factors.begin(ben.id).secret)
    bens_codes = enable(ben, bens)
    assert not check(ann, code_of(bens))
    assert not check(ann, bens_codes[0])
    assert check(ben, bens_codes[0])


def test_recovery_codes_are_hard_to_guess_and_easy_to_type(codes):
    for code in codes:
        assert re.fullmatch(r"[a-hjkmnp-z2-9]{5}(-[a-hjkmnp-z2-9]{5}){4}", code)
    assert len(set("".join(codes))) > 20


def test_a_recovery_code_is_taken_once(ann, codes):
    assert check(ann, codes[3])
    assert not check(ann, codes[3])
    assert second_factors.count_codes(ann.id) == RECOVERY_CODES - 1
    assert all(check(ann, code) for code in codes if code != codes[3])
    assert second_factors.count_codes(ann.id) == 0


def test_of_two_who_have_one_recovery_code_at_once_one_is_let_in(ann, codes):
    let_in: list[bool] = []
    at_once(*[lambda: let_in.append(check(ann, codes[0]))] * 4)
    assert sorted(let_in) == [False, False, False, True]


@pytest.mark.parametrize(
    "shape",
    [str.upper, lambda c: c.replace("-", ""), lambda c: c.replace("-", " "), " {}\n".format],
)
def test_a_recovery_code_may_be_typed_in_other_ways(ann, codes, shape):
    assert check(ann, shape(codes[0]))


def test_part_of_a_recovery_code_is_none(ann, codes):
    for code in (codes[0][:-1], codes[0][:4], codes[0] + "a", codes[0] + codes[1]):
        assert not check(ann, code)


def test_new_recovery_codes_end_the_ones_before(ann, app, codes):
    check(ann, codes[0])
    fresh = second_factors.renew_codes(ann.id, password=PASSWORD, by=BY)
    assert second_factors.count_codes(ann.id) == RECOVERY_CODES
    assert actions()[-1] == ("second_factor.codes_renewed", EMAIL)
    assert not any(check(ann, code) for code in codes)
    assert check(ann, fresh[0])
    assert actions()[-1] == ("second_factor.recovery_code_used", EMAIL)
    assert check(ann, code_of(app))


def test_new_recovery_codes_need_the_password_and_a_second_factor(ann, app):
    with pytest.raises(Conflict):
        second_factors.renew_codes(ann.id, password=PASSWORD, by=BY)
    made = enable(ann, app)
    with pytest.raises(InvalidFields):
        second_factors.renew_codes(ann.id, password="not it", by=BY)
    assert check(ann, made[0])


def test_turned_off_no_code_is_any_good(ann, app, codes):
    second_factors.disable(ann.id, password=PASSWORD, by=BY)
    assert not check(ann, code_of(app))
    assert not check(ann, codes[0])
    row = reload(ann)
    assert (row.totp_enabled_at, row.totp_secret_encrypted, row.totp_last_step) == (None,) * 3
    assert RecoveryCode.select().count() == 0
    assert actions() == [("second_factor.enabled", EMAIL), ("second_factor.disabled", EMAIL)]


def test_it_is_not_turned_off_without_the_password(ann, app, codes):
    with pytest.raises(InvalidFields):
        second_factors.disable(ann.id, password="not it", by=BY)
    assert check(ann, code_of(app))


def test_set_up_again_it_has_another_secret(ann, app, codes):
    second_factors.disable(ann.id, password=PASSWORD, by=BY)
    fresh = pyotp.TOTP(second_factors.begin(ann.id).secret)
    assert fresh.secret != app.secret
    enable(ann, fresh)
    assert not any(check(ann, code) for code in codes)


def test_turning_off_what_is_off_is_told_to_nobody(ann, app, caplog):
    caplog.set_level("INFO")
    second_factors.remove(ann.id, by=SYSTEM)
    assert reload(ann).totp_secret_encrypted is None
    assert actions() == []
    assert "second_factor.disabled" not in caplog.text


def test_whoever_runs_the_instance_turns_it_off_without_a_password(ann, codes):
    second_factors.remove(ann.id, by=Actor("command line"))
    assert entries()[-1].actor == "command line"
    assert not check(ann, codes[0])


def test_a_reset_of_the_password_leaves_it_on(ann, app, codes):
    """Whoever reads somebody's mail is still not them."""
    token = mailed_links.make_reset_url(ann).rpartition("/")[2]
    mailed_links.reset_password(token, "eleven green bottles", by=BY)
    assert reload(ann).totp_enabled_at is not None
    assert check(ann, code_of(app))


@pytest.mark.parametrize("verb", ["begin", "check", "renew_codes", "disable", "remove"])
def test_a_person_who_is_none_has_none(database, verb):
    arguments = {"check": {"code": "1", "by": BY}, "begin": {}, "remove": {"by": BY}}
    fields = arguments.get(verb, {"password": PASSWORD, "by": BY})
    with pytest.raises(NotFound):
        getattr(second_factors, verb)(0, **fields)


def test_neither_secret_nor_codes_are_stored_or_told_as_they_are(ann, app, codes, caplog):
    caplog.set_level("INFO")
    code = code_of(app)
    check(ann, code)
    check(ann, codes[0])
    fresh = second_factors.renew_codes(ann.id, password=PASSWORD, by=BY)
    second_factors.disable(ann.id, password=PASSWORD, by=BY)
    told = caplog.text + everything_stored()
    assert "second_factor.recovery_code_used" in caplog.text
    for one in (app.secret, *codes, *fresh, PASSWORD):
        for form in (one, one.replace("-", ""), one.encode().hex()):
            assert form not in told


def test_the_secret_is_stored_as_ciphertext_and_codes_as_hashes(ann, app, codes):
    row = reload(ann)
    assert app.secret.encode() not in bytes(row.totp_secret_encrypted)
    hashes = {bytes(code.code_hash) for code in RecoveryCode.select()}
    assert hashlib.sha256(codes[0].replace("-", "").encode()).digest() in hashes


def test_a_secret_opens_for_its_person_alone(ann, app, codes, make_person):
    """Whoever may write to the table cannot give somebody the secret of another."""
    ben = make_person("ben@example.org")
    second_factors.begin(ben.id)
    Person.update(
        totp_secret_encrypted=reload(ben).totp_secret_encrypted
    ).where(Person.id == ann.id).execute()  # fmt: skip
    with pytest.raises(DecryptionError):
        check(ann, code_of(app))
    place = f"0/people/{ben.id}/totp_secret"
    assert secrets.decrypt(reload(ben).totp_secret_encrypted, place=place)


def test_a_recovery_code_helps_where_the_secret_cannot_be_opened(
    ann, codes, use_settings: UseSettings
):
    use_settings(encryption_key=KEY_2, encryption_keys_old=())
    assert check(ann, codes[0])


@pytest.mark.parametrize("is_on", [True, False], ids=["on", "begun"])
def test_the_encryption_key_is_changed_under_it(ann, clock, use_settings: UseSettings, is_on):
    use_settings(encryption_key=KEY_1, encryption_keys_old=())
    app = pyotp.TOTP(second_factors.begin(ann.id).secret)
    if is_on:
        enable(ann, app)
        clock.shift(5 * STEP)
    use_settings(encryption_key=KEY_2, encryption_keys_old=(KEY_1,))
    summary = key_rotation.rotate(report=lambda count: None)
    assert (summary.changed, summary.is_complete) == ({"people": 1}, True)
    use_settings(encryption_keys_old=())
    if is_on:
        assert check(ann, code_of(app))
    else:
        assert second_factors.begin(ann.id).secret == app.secret
    [rotated] = [entry for entry in entries() if entry.action == "secrets.rotated"]
    assert rotated.after == {"people": 1}


def test_a_secret_that_no_key_opens_is_named_by_its_persons_address(
    ann, app, use_settings: UseSettings
):
    use_settings(encryption_key=KEY_2, encryption_keys_old=())
    summary = key_rotation.rotate(report=lambda count: None)
    [unopened] = summary.unopened
    assert (unopened.workspace_id, unopened.name) == (0, f"second factor {EMAIL}")
    assert not summary.is_complete


def test_a_rotation_replaces_no_secret_that_was_made_meanwhile(ann, use_settings: UseSettings):
    use_settings(encryption_key=KEY_1, encryption_keys_old=())
    second_factors.begin(ann.id)
    use_settings(encryption_key=KEY_2, encryption_keys_old=(KEY_1,))
    begun: list[str] = []

    def begin_again() -> None:
        second_factors.remove(ann.id, by=BY)
        begun.append(second_factors.begin(ann.id).secret)

    at_once(begin_again, lambda: key_rotation.rotate(report=lambda count: None))
    use_settings(encryption_keys_old=())
    assert second_factors.begin(ann.id).secret == begun[0]


def test_the_database_refuses_one_that_is_on_without_a_secret(ann):
    with pytest.raises(Exception, match="people_second_factor"), Person._meta.database.atomic():
        Person.update(totp_enabled_at=NOON).execute()


def test_a_password_that_was_changed_just_then_is_the_last_word(ann, codes, monkeypatch):
    """Between the check of the password and the change that it allows."""
    other = passwords.make_hash("another quiet river")
    check = passwords.is_right

    def check_slowly(*args):
        is_right = check(*args)
        Person.update(password_hash=other).where(Person.id == ann.id).execute()
        return is_right

    monkeypatch.setattr(passwords, "is_right", check_slowly)
    with pytest.raises(InvalidFields, match="changed a moment ago"):
        second_factors.disable(ann.id, password=PASSWORD, by=BY)
    assert reload(ann).totp_enabled_at is not None
