"""What became of a message that was offered to a server, said in one way.

In charge of the outcome's values and words. Not in charge of finding out (`smtp_dialogue`), nor of
what is done about it.
"""

from dataclasses import dataclass, field

from maild.domain.smtp_reply import ErrorClass, Reply, Stage, Verdict, classify, of_contact

_FINAL_DOT = Stage.FINAL_DOT


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one message's dialogue ended.

    `stage` is where it ended. `error_class` is None when accepted. `is_unknown`: contact was lost
    after the whole message had left and before its reply, so it may have been accepted. `is_stale`:
    the server did not take the message, and it was not this message's doing: it can go over another
    connection at once. `verdict` says what the failure means; it is None where the message was
    accepted, where that is unknown, and where the outcome is stale. `text` is for a person.
    `timings` are milliseconds by stage; the first message of a connection carries those of its
    opening.
    """

    accepted: bool
    stage: Stage
    reply: Reply | None
    error_class: ErrorClass | None
    is_permanent: bool
    is_unknown: bool
    is_stale: bool
    text: str
    remote: str  # host:port
    timings: dict[str, float] = field(default_factory=dict)
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a connection ended. `reply` is what the server said last, unasked or to leave (421);
    `is_our_doing`: the owner gave the connection up."""

    error_class: ErrorClass
    text: str
    reply: Reply | None = None
    is_our_doing: bool = False


def accepted(reply: Reply, remote: str, timings: dict[str, float]) -> Outcome:
    """The server has taken the message, and answers for it from now on (RFC 5321 4.2.5)."""
    text = f"accepted: {reply} (FINAL DOT, {remote})"
    return Outcome(True, _FINAL_DOT, reply, None, False, False, False, text, remote, timings)


def refused(stage: Stage, reply: Reply, remote: str, timings: dict[str, float]) -> Outcome:
    """The server has said no."""
    # What it says while the content is still on its way is its answer to the content.
    verdict = classify(reply, _FINAL_DOT if stage is Stage.BODY else stage)
    return _judged(verdict, stage, str(reply), remote, timings, reply=reply)


def unsendable(answer: Reply, text: str, remote: str) -> Outcome:
    """The server cannot take the message, as it said before. `answer` is what it would say, and is
    not in the outcome, because nobody asked."""
    verdict = classify(answer, Stage.MAIL_FROM)
    return _judged(verdict, Stage.MAIL_FROM, text, remote, {})


def lost(stage: Stage, ending: Ending, remote: str, timings: dict[str, float]) -> Outcome:
    """The connection ended without an answer, and before the whole message had left."""
    return _judged(of_contact(ending.error_class), stage, ending.text, remote, timings)


def unknown(ending: Ending, remote: str, timings: dict[str, float]) -> Outcome:
    """The whole message has left, and nobody knows whether it was taken."""
    text = f"{ending.text}; the message may have been accepted"
    return _undecided(_FINAL_DOT, ending, text, remote, timings, is_stale=False)


def stale(stage: Stage, ending: Ending, remote: str, timings: dict[str, float]) -> Outcome:
    """The message has not been taken, through no doing of its own."""
    return _undecided(stage, ending, ending.text, remote, timings, is_stale=True)


def _judged(
    verdict: Verdict,
    stage: Stage,
    text: str,
    remote: str,
    timings: dict[str, float],
    *,
    reply: Reply | None = None,
) -> Outcome:
    return Outcome(
        accepted=False,
        stage=stage,
        reply=reply,
        error_class=verdict.error_class,
        is_permanent=verdict.is_permanent,
        is_unknown=False,
        is_stale=False,
        text=f"{text} ({stage.words}, {remote})",
        remote=remote,
        timings=timings,
        verdict=verdict,
    )


def _undecided(
    stage: Stage,
    ending: Ending,
    text: str,
    remote: str,
    timings: dict[str, float],
    *,
    is_stale: bool,
) -> Outcome:
    return Outcome(
        accepted=False,
        stage=stage,
        reply=ending.reply,
        error_class=ending.error_class,
        is_permanent=False,
        is_unknown=not is_stale,
        is_stale=is_stale,
        text=f"{text} ({stage.words}, {remote})",
        remote=remote,
        timings=timings,
    )
