"""What an attempt comes to: the rules."""

import dataclasses
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from maild import config
from maild.config import Settings
from maild.domain.smtp_reply import ErrorClass, Stage
from maild.domain.states import AttemptStatus, EventType, Status, Stream, can_move
from maild.services import outcomes, policies
from maild.services.claims import Claim
from maild.services.outcomes import BLAMED_TRIES, Result
from maild.transports.smtp import Outcome
from tests.services.helpers import ACCEPTED, CLAIM, LATER, LOST, NO_SUCH_USER, PATH_FAULT, says

UseSettings = Callable[..., Settings]


def decide(outcome: Outcome, **fields: object) -> Result:
    return outcomes.decide(claim_of(**fields), outcome, duration_ms=12)


def claim_of(**fields: object) -> Claim:
    """A claim by the instance's defaults."""
    claim = dataclasses.replace(CLAIM, **fields)  # type: ignore[arg-type]
    return dataclasses.replace(claim, rules=policies.default().stream(claim.stream))


@pytest.mark.parametrize(
    ("outcome", "attempt_no", "status", "attempt_status", "event"),
    [
        (ACCEPTED, 1, Status.SENT, AttemptStatus.SENT, EventType.SENT),
        (ACCEPTED, 99, Status.SENT, AttemptStatus.SENT, EventType.SENT),
        (LATER, 1, Status.QUEUED, AttemptStatus.DEFERRED, EventType.DEFERRED),
        (LATER, 99, Status.FAILED, AttemptStatus.FAILED, EventType.FAILED),
        (NO_SUCH_USER, 1, Status.FAILED, AttemptStatus.FAILED, EventType.FAILED),
        (PATH_FAULT, 1, Status.QUEUED, AttemptStatus.DEFERRED, EventType.DEFERRED),
        (PATH_FAULT, 99, Status.QUEUED, AttemptStatus.DEFERRED, EventType.DEFERRED),
        (LOST, 1, Status.UNKNOWN, AttemptStatus.UNKNOWN, EventType.OUTCOME_UNKNOWN),
        (LOST, 99, Status.UNKNOWN, AttemptStatus.UNKNOWN, EventType.OUTCOME_UNKNOWN),
    ],
)
def test_it_decides_what_comes_next(
    outcome: Outcome,
    attempt_no: int,
    status: Status,
    attempt_status: AttemptStatus,
    event: EventType,
    settings: Settings,
) -> None:
    result = decide(outcome, attempt_no=attempt_no)
    move = result.move
    assert (move.new, result.status, move.event) == (status, attempt_status, event)
    assert (move.old, move.worker_id) == (Status.SENDING, CLAIM.worker_id)
    assert (move.attempt_no, move.uncount) == (attempt_no, False)
    assert (move.next_attempt_in is not None) == (status is Status.QUEUED)
    assert (move.last_error is None) == (status is Status.SENT)
    assert can_move(move.old, move.new)


def test_its_event_tells_what_happened(settings: Settings) -> None:
    move = decide(NO_SUCH_USER, attempt_no=2, account_name="postal").move
    assert move.data == {
        "attempt_no": 2,
        "smtp_account": "postal",
        "smtp_code": 550,
        "enhanced_code": "5.1.1",
        "error_class": "invalid_recipient",
        "text": NO_SUCH_USER.text,
    }
    assert move.error_class == "invalid_recipient"
    assert move.smtp_account_name == "postal"


def test_a_deferred_one_tells_when_it_is_tried_again(settings: Settings) -> None:
    move = decide(LATER).move
    assert move.next_attempt_in is not None
    assert move.data["retry_in_seconds"] == round(move.next_attempt_in)
    assert "excused" not in move.data
    assert decide(PATH_FAULT).move.data["excused"] is True


def test_it_waits_longer_after_each_attempt(use_settings: UseSettings) -> None:
    use_settings(retry_delays_seconds=(100, 1_000, 10_000), max_attempts=99)
    for attempt_no, rung in ((1, 100), (2, 1_000), (3, 10_000), (4, 10_000)):
        wait = decide(LATER, attempt_no=attempt_no).move.next_attempt_in
        assert wait is not None
        assert rung * 0.8 <= wait <= rung * 1.2


def test_excused_attempts_climb_no_rung(use_settings: UseSettings) -> None:
    use_settings(retry_delays_seconds=(100, 1_000, 10_000))
    wait = decide(LATER, attempt_no=9, excused_count=8).move.next_attempt_in
    assert wait is not None
    assert 80 <= wait <= 120


@pytest.mark.parametrize(
    ("attempt_no", "excused_count", "status"),
    [
        (2, 0, Status.QUEUED),
        (3, 0, Status.FAILED),
        (3, 1, Status.QUEUED),
        (22, 20, Status.QUEUED),
        (23, 20, Status.FAILED),
    ],
)
def test_it_gives_up_after_the_last_attempt_that_counts(
    attempt_no: int, excused_count: int, status: Status, use_settings: UseSettings
) -> None:
    use_settings(max_attempts=3)
    move = decide(LATER, attempt_no=attempt_no, excused_count=excused_count).move
    assert move.new is status
    if status is Status.FAILED:
        assert move.last_error is not None
        assert move.last_error.startswith("Gave up after 3 attempts.")
        assert "Try later" in move.last_error


def test_one_attempt_is_called_one(use_settings: UseSettings) -> None:
    use_settings(max_attempts=1)
    last_error = decide(LATER).move.last_error
    assert last_error is not None
    assert last_error.startswith("Gave up after 1 attempt. ")


@pytest.mark.proves("deliver-excused")
@pytest.mark.parametrize(
    "outcome",
    [
        PATH_FAULT,
        says("4.7.0 Closing the channel", code=421),
        says("Throttling failure: Maximum sending rate exceeded.", code=454),
        says("5.7.8 Authentication credentials invalid", code=535, stage=Stage.AUTH),
    ],
    ids=["no connection", "421", "throttling", "credentials"],
)
def test_the_providers_fault_uses_no_attempt(outcome: Outcome, use_settings: UseSettings) -> None:
    use_settings(max_attempts=1)
    result = decide(outcome)
    assert result.is_path_fault
    assert (result.move.new, result.move.excuse) == (Status.QUEUED, True)


def test_twenty_faults_of_the_path_in_a_row_never_fail_it(use_settings: UseSettings) -> None:
    use_settings(max_attempts=2)
    waits = []
    for tries in range(20):
        move = decide(PATH_FAULT, attempt_no=tries + 1, excused_count=tries).move
        assert (move.new, move.excuse) == (Status.QUEUED, True)
        waits.append(move.next_attempt_in or 0.0)
    assert 1.6 <= waits[0] <= 2.4
    assert max(waits) <= 360
    assert decide(LATER, attempt_no=21, excused_count=20).move.new is Status.QUEUED


def test_a_wait_that_the_path_asks_for_does_not_end_the_message(settings: Settings) -> None:
    """It may be sent another way, or sooner than was said; a refusal of the message may end it."""
    busy = says("4.7.0 Too many messages, try again in 1 hour", code=421)
    move = decide(busy, seconds_left=600.0).move
    assert move.new is Status.QUEUED
    assert move.next_attempt_in == pytest.approx(300.0)
    assert decide(busy, seconds_left=86_400.0).move.next_attempt_in == pytest.approx(3600.0)


def test_a_message_that_makes_every_server_hang_up_is_soon_not_believed(
    settings: Settings,
) -> None:
    """It must not open the breakers of all providers: after a few tries it blames none."""
    blamed = [decide(PATH_FAULT, attempt_no=n + 1, path_fault_count=n).fault for n in range(10)]
    assert all(blamed[:BLAMED_TRIES])
    assert not any(blamed[BLAMED_TRIES:])
    assert decide(LATER).fault is None
    assert decide(NO_SUCH_USER).fault is None
    assert decide(ACCEPTED).fault is None


def test_a_fault_names_the_account_and_whose_it_is(settings: Settings) -> None:
    fault = decide(PATH_FAULT, account_id=7, account_name="postal").fault
    assert fault is not None
    assert (fault.account_id, fault.account_name, fault.workspace_id) == (7, "postal", 1)
    assert (fault.error_class, fault.text) == ("connection", "Connection refused.")
    shared = decide(PATH_FAULT).fault
    assert shared is not None
    assert shared.workspace_id is None, "the environment's account is the instance's"


@pytest.mark.proves("deliver-ladder")
@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("Greylisted, please try again in 2 hours", 7_200, 7_200),
        ("Try again in 10 seconds", 48, 72),  # the ladder's 60 is longer
    ],
)
def test_it_honours_the_time_that_a_server_names(
    text: str, low: float, high: float, use_settings: UseSettings
) -> None:
    use_settings(retry_delays_seconds=(60,))
    wait = decide(says(text)).move.next_attempt_in
    assert wait is not None
    assert low <= wait <= high


def test_so_it_does_for_a_fault_of_the_path(settings: Settings) -> None:
    move = decide(says("4.7.28 Rate limited, try again in 30 minutes", code=421)).move
    assert move.excuse
    assert move.next_attempt_in is not None
    assert move.next_attempt_in >= 1_800


@pytest.mark.parametrize("outcome", [LATER, PATH_FAULT], ids=["the message's", "the path's"])
def test_it_fails_with_words_when_no_attempt_fits_into_its_lifetime(
    outcome: Outcome, use_settings: UseSettings
) -> None:
    use_settings(retry_delays_seconds=(60,))
    result = decide(outcome, seconds_left=1.0)
    assert (result.move.new, result.status) == (Status.FAILED, AttemptStatus.FAILED)
    assert not result.move.excuse
    assert result.move.last_error is not None
    assert "lifetime" in result.move.last_error
    assert outcome.text in result.move.last_error
    assert decide(outcome, seconds_left=90.0).move.new is Status.QUEUED


def test_a_time_that_a_server_names_may_be_past_its_lifetime(settings: Settings) -> None:
    move = decide(says("Try again in 5 hours"), seconds_left=3_600.0).move
    assert move.new is Status.FAILED


def set_rule(use_settings: UseSettings, stream: Stream, rule: str) -> None:
    rules = config.current().stream(stream)
    use_settings(**{stream.value: dataclasses.replace(rules, unknown_outcome=rule)})


@pytest.mark.proves("I4")
@pytest.mark.parametrize("stream", list(Stream))
@pytest.mark.parametrize(
    ("rule", "status", "event"),
    [
        ("hold", Status.UNKNOWN, EventType.OUTCOME_UNKNOWN),
        ("retry", Status.QUEUED, EventType.OUTCOME_UNKNOWN),
        ("assume_sent", Status.SENT, EventType.ASSUMED_SENT),
    ],
)
def test_each_stream_has_its_rule_for_the_unknown(
    rule: str, status: Status, event: EventType, stream: Stream, use_settings: UseSettings
) -> None:
    other = next(s for s in Stream if s is not stream)
    set_rule(use_settings, stream, rule)
    set_rule(use_settings, other, "retry" if rule == "hold" else "hold")
    result = decide(LOST, stream=stream)
    assert (result.move.new, result.move.event) == (status, event)
    assert result.status is AttemptStatus.UNKNOWN, "the attempt is what it is"
    assert not result.move.excuse
    assert result.move.data["text"]


def test_sending_again_says_that_it_does(use_settings: UseSettings) -> None:
    set_rule(use_settings, Stream.MARKETING, "retry")
    use_settings(retry_delays_seconds=(100,))
    move = decide(LOST, stream=Stream.MARKETING).move
    assert move.next_attempt_in is not None
    assert 80 <= move.next_attempt_in <= 120
    assert move.last_error is not None
    assert "sent again, as the rule for marketing mail says" in move.last_error


@pytest.mark.parametrize(
    "fields",
    [{"attempt_no": 3}, {"attempt_no": 9, "excused_count": 6}, {"seconds_left": 10.0}],
    ids=["attempts", "attempts that count", "lifetime"],
)
def test_what_cannot_be_sent_again_stays_unknown(
    fields: dict[str, object], use_settings: UseSettings
) -> None:
    set_rule(use_settings, Stream.TRANSACTIONAL, "retry")
    use_settings(max_attempts=3)
    assert decide(LOST, **fields).move.new is Status.UNKNOWN


def make_outcome(is_unknown: bool, is_permanent: bool, code: int, is_path: bool) -> Outcome:
    base = PATH_FAULT if is_path else says("words", code=code)
    return dataclasses.replace(base, is_unknown=is_unknown, is_permanent=is_permanent)


@hypothesis_settings(deadline=None)
@given(
    outcome=st.builds(
        make_outcome, st.booleans(), st.booleans(), st.integers(400, 599), st.booleans()
    ),
    attempt_no=st.integers(1, 30_000),
    excused_count=st.integers(0, 30_000),
    seconds_left=st.floats(-1e6, 1e6),
    stream=st.sampled_from(list(Stream)),
)
def test_whatever_comes_it_is_a_move_of_the_states(
    session_settings: Settings,
    outcome: Outcome,
    attempt_no: int,
    excused_count: int,
    seconds_left: float,
    stream: Stream,
) -> None:
    move = decide(
        outcome,
        attempt_no=attempt_no,
        excused_count=min(excused_count, attempt_no - 1),
        seconds_left=seconds_left,
        stream=stream,
    ).move
    assert can_move(move.old, move.new)
    assert (move.next_attempt_in is not None) == (move.new is Status.QUEUED)
    if outcome.is_unknown:
        assert move.new is Status.UNKNOWN, "never failed, and by this rule never again"
    if move.next_attempt_in is not None:
        assert 0 < move.next_attempt_in < seconds_left


@pytest.mark.parametrize(
    ("is_begun", "attempt_no", "excused_count", "status", "low"),
    [
        (False, 1, 0, Status.QUEUED, 0),
        (False, 99, 0, Status.QUEUED, 0),
        (True, 1, 0, Status.QUEUED, 0),
        (True, 2, 0, Status.QUEUED, 80),
        (True, 3, 2, Status.QUEUED, 0),
        (True, 3, 0, Status.FAILED, None),
        (True, 9, 6, Status.FAILED, None),
    ],
)
def test_what_its_worker_died_with_before_the_dot_goes_back(
    is_begun: bool,
    attempt_no: int,
    excused_count: int,
    status: Status,
    low: float | None,
    use_settings: UseSettings,
) -> None:
    """At once where it was not offered, or for the first time; later where it may be to blame."""
    use_settings(max_attempts=3, retry_delays_seconds=(100,))
    claim = claim_of(attempt_no=attempt_no, excused_count=excused_count)
    move = outcomes.interrupted(claim, is_begun=is_begun).move
    assert (move.new, move.uncount) == (status, not is_begun)
    if low is None:
        assert move.next_attempt_in is None
    else:
        assert move.next_attempt_in is not None
        assert low <= move.next_attempt_in <= low * 1.5


def test_a_servers_nul_is_replaced(settings: Settings) -> None:
    result = decide(says("no\0pe"))
    assert "\0" not in str(result.move.last_error)
    assert "\0" not in result.move.data["text"]
    assert ErrorClass(result.move.error_class) is ErrorClass.UNKNOWN
