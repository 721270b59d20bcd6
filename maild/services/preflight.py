"""A look at everything that maild needs, before it is started: the settings, and the parts
themselves.

In charge of running all looks at the same time, each within its time, whatever the others find. A
look that takes too long is left behind: it is a finding of its own. Not in charge of what is looked
at (`preflight_postgres`, `preflight_outside`).
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import peewee

from maild import db, log
from maild.config import Review
from maild.domain.preflight import Finding, fail, ok, skipped, warn
from maild.errors import FieldError, MaildError
from maild.services import preflight_outside, preflight_postgres

LOOK_SECONDS = 20.0
"""For each look; they go on at the same time."""
ACCOUNTS_SECONDS = 60.0
"""For the accounts of workspaces: a few at a time."""

POSTGRES_MEND = "Start PostgreSQL, see whether it hangs, and check POSTGRES_DSN."
REDIS_MEND = "Start Redis or Valkey, see whether it hangs, and check REDIS_URL."
SMTP_MEND = "Check SMTP_HOST, SMTP_PORT, SMTP_SECURITY and the credentials."
ACCOUNTS = "SMTP: accounts of workspaces"

logger = log.get(__name__)

Look = Callable[[], Iterable[Finding]]


@dataclass(slots=True)
class _Running:
    """A look under way, and what it has found so far."""

    name: str
    seconds: float
    mend: str
    needs: tuple[str, ...] = ()
    """Settings without which there is nothing to look at."""
    found: list[Finding] = field(default_factory=list)
    thread: threading.Thread | None = None


def run(review: Review, *, pools: Mapping[str, int]) -> list[Finding]:
    """Look at everything; `config.current()` and the pool are those of `review`.

    `pools`: the connections to PostgreSQL that a process of each kind opens, by its name.
    """
    looks: list[tuple[_Running, Look]] = [
        (
            _Running("PostgreSQL", LOOK_SECONDS, POSTGRES_MEND, ("POSTGRES_DSN",)),
            lambda: _look_at_postgres(pools),
        ),
        (
            _Running("Redis", LOOK_SECONDS, REDIS_MEND, ("REDIS_URL",)),
            preflight_outside.look_at_redis,
        ),
        (
            _Running("SMTP: default", LOOK_SECONDS, SMTP_MEND, ("SMTP_HOST", "SMTP_PORT")),
            preflight_outside.look_at_default_account,
        ),
        (
            _Running(ACCOUNTS, ACCOUNTS_SECONDS, POSTGRES_MEND, ("POSTGRES_DSN",)),
            _look_at_accounts,
        ),
        (
            _Running("PUBLIC_URL", LOOK_SECONDS, "See whether the DNS answers.", ("PUBLIC_URL",)),
            preflight_outside.look_at_public_url,
        ),
        (
            _Running("Disk", LOOK_SECONDS, "See whether the disk answers."),
            lambda: preflight_outside.look_at_disk(_folders(review)),
        ),
    ]
    started = time.monotonic()
    for running, look in looks:
        missing = [name for name in running.needs if name in review.stand_ins]
        if missing:
            running.found.append(skipped(running.name, f"{missing[0]} is not usable"))
        else:
            _start(running, look)
    findings = list(_of_settings(review))
    for running, _ in looks:
        findings += _wait(running, until=started + running.seconds)
    return findings


def _start(running: _Running, look: Look) -> None:
    def work() -> None:
        try:
            for finding in look():
                running.found.append(finding)
        except MaildError as error:
            cause = str(error.__cause__ or "").strip().partition("\n")[0]
            words = f"{error.detail} ({cause})" if cause else error.detail
            running.found.append(fail(running.name, words, running.mend))
        except Exception as error:
            logger.exception("preflight.crashed", look=running.name)
            running.found.append(
                fail(running.name, f"{type(error).__name__}: {error}", "It is a fault of maild.")
            )

    # A daemon: what hangs keeps nobody from reading the rest.
    running.thread = threading.Thread(target=work, name=running.name, daemon=True)
    running.thread.start()


def _wait(running: _Running, *, until: float) -> list[Finding]:
    if running.thread is None:
        return running.found
    running.thread.join(max(0.0, until - time.monotonic()))
    found = list(running.found)
    if running.thread.is_alive():
        words = f"no answer within {running.seconds:.0f} seconds"
        found.append(fail(running.name, words, running.mend))
    return found


def _look_at_postgres(pools: Mapping[str, int]) -> Iterator[Finding]:
    db.limit_statements(preflight_postgres.STATEMENT_MS)
    with db.connection():
        yield from preflight_postgres.look(pools)


def _look_at_accounts() -> Iterator[Finding]:
    db.limit_statements(preflight_postgres.STATEMENT_MS)
    try:
        yield from preflight_outside.look_at_accounts()
    except MaildError as error:
        yield skipped(ACCOUNTS, error.detail)
    except peewee.ProgrammingError:  # no table yet, or one of an older version
        yield skipped(ACCOUNTS, "after maild migrate")


def _of_settings(review: Review) -> Iterator[Finding]:
    """What is wrong with the settings, and what would be in production."""
    settings = review.settings
    yield from (_of_problem(problem, fail) for problem in review.problems)
    if not settings.is_production:
        known = set(review.problems)
        for problem in review.production_problems:
            if problem not in known:
                yield _of_problem(problem, warn, prefix="production would refuse it: ")
    if not review.problems:
        words = "production" if settings.is_production else "development"
        yield ok("Settings", f"they will do for {words}")
    if settings.is_production and settings.log_level == "DEBUG":
        yield warn("LOG_LEVEL", "a line for each request, with its path", "LOG_LEVEL=INFO")
    for name, path in review.secret_files.items():
        if path.stat().st_mode & 0o004:
            yield warn(
                f"{name}_FILE",
                "everybody on this machine can read it",
                f"chmod o-r {path}, or mount it for maild's user alone.",
            )


def _of_problem(
    problem: FieldError, see: Callable[[str, str, str], Finding], *, prefix: str = ""
) -> Finding:
    found, _, mend = problem.message.partition("; ")
    return see(problem.field, prefix + found, mend[:1].upper() + mend[1:])


def _folders(review: Review) -> list[Path]:
    """Where maild writes to on this machine."""
    folder = review.settings.metrics.directory
    return [] if folder is None else [folder]
