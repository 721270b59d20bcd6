"""`python -m tools.demo`: fill a workspace with a believable day, beside `make run`.

In charge of the order in which things happen, and of what is said about it. It may be run again:
then it tells of the time since.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from random import Random

from maild import clock, db
from maild.db import database
from maild.domain.states import EventType
from maild.errors import MaildError
from maild.services import processes
from tools.demo import audience, past, plan, providers, reports, stack
from tools.demo import cast as casts
from tools.demo.cast import Cast
from tools.demo.deeds import Desk
from tools.demo.plan import Plan, Stage
from tools.demo.stack import Found, Http, Refused
from tools.demo.traffic import Traffic

OUTAGE_PAUSE_SECONDS = 0.75
"""Between messages, so that maild tries the provider again in the middle of the outage."""
MENDED_PAUSE_SECONDS = 0.75
"""Between messages, until the provider is trusted again."""
HURRIED_SCALE = 0.1


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 after saying what is wrong."""
    options = _parse(argv)
    try:
        found = stack.find()
        processes.start(found.settings, name="demo", pool_size=4)
        processes.require_schema()
        with db.connection():
            cast = Demo(found, is_hurried=options.hurry).run()
    except (Refused, MaildError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: stopped; what has happened until now stays", file=sys.stderr)
        return 1
    print(_farewell(found, cast))
    return 0


class Demo:
    """One run. `is_hurried`: with little mail, and waiting for nothing that only time brings."""

    def __init__(self, found: Found, *, is_hurried: bool) -> None:
        """Makes the people, and plans the story. Raises Refused, MaildError."""
        self._clock_began_at = time.monotonic()
        self._rng = Random()  # noqa: S311 - a story, no secret
        self._is_hurried = is_hurried
        self._http = Http(found.web, key_header=found.settings.api_key_header)
        began_at = _now()
        self._cast = casts.make()
        scale = HURRIED_SCALE if is_hurried else 1.0
        last_at = _find_last(self._cast.workspace_id)
        self._plan: Plan = plan.make(self._rng, clock.now(), last_at, scale=scale)
        self._traffic = Traffic(self._http, self._cast, self._plan, began_at=began_at)
        self._desk = Desk(found, self._http, self._cast)

    def run(self) -> Cast:
        """All of it; returns whose it is. Raises Refused, MaildError."""
        is_new = "made" if self._cast.is_new else "there already"
        self._say(f"workspace {self._cast.workspace_id}, “{casts.SHOP}”, and its people: {is_new}")
        endpoints = self._desk.set_up()
        self._say(f"accounts {providers.FIRST}, {providers.SECOND}, {providers.LAST}")
        self._tell_of_the_day()
        self._tell_of_the_outage()
        self._tell_of_now()
        if self._cast.is_new:
            _fill_quiet(self._http, self._cast)
        if self._plan.window.is_spread:
            since = self._traffic.began_at
            past.move(self._cast.workspace_id, self._traffic.story, since=since)
            hours = self._plan.window.length.total_seconds() / 3600
            self._say(f"spread over the last {hours:.1f} hours")
        else:
            self._say("not spread: the run before was only just now")
        self._report(endpoints)
        if self._cast.is_new:
            self._gather_readers()
        self._http.close()
        return self._cast

    def _tell_of_the_day(self) -> None:
        traffic = self._traffic
        count = traffic.submit(Stage.BEFORE) + traffic.submit(Stage.CAMPAIGN)
        traffic.wait_quiet()
        traffic.hasten()
        self._say(f"everyday mail and a campaign: {count} messages")
        self._desk.leave(self._rng, traffic, self._plan.window)
        traffic.hasten()
        if not self._is_hurried:
            traffic.wait_expired()
        self._desk.at_noon()
        count = traffic.submit(Stage.AFTER)
        traffic.wait_quiet()
        self._say(f"after it {count} messages, and {traffic.rejected} rejected by the policy")

    def _tell_of_the_outage(self) -> None:
        traffic = self._traffic
        self._say(f"outage: {providers.FIRST} refuses our sign-in, for 25 seconds ...")
        self._desk.save_account(providers.FIRST, username=providers.REFUSES_LOGIN)
        self._desk.save_account(providers.SECOND, username=providers.REFUSES_SENDER)
        pause = 0.0 if self._is_hurried else OUTAGE_PAUSE_SECONDS
        try:
            traffic.submit(Stage.REFUSED, together=1, pause_seconds=lambda: pause)
            traffic.wait_for(
                lambda: traffic.count_events(EventType.FAILED_OVER), "mail takes another account"
            )
            traffic.wait_for(traffic.count_refused, f"{providers.SECOND} refuses mail")
            traffic.wait_quiet()
            self._desk.save_account(providers.SECOND)
            count = traffic.submit(Stage.OUTAGE, together=1, pause_seconds=lambda: pause)
        finally:
            self._desk.save_account(providers.SECOND)
            self._desk.save_account(providers.FIRST)
        opened = traffic.count_events(EventType.BREAKER_OPENED)
        self._say(
            f"{providers.SECOND} refused {traffic.count_refused()} messages, and took {count} once"
            f" it knew the sender; the breaker of {providers.FIRST} opened {opened} times"
        )

    def _tell_of_now(self) -> None:
        traffic = self._traffic
        self._desk.freeze()

        def is_back() -> bool:
            return traffic.count_events(EventType.FAILED_BACK) > 0

        def pause() -> float:
            return 0.0 if self._is_hurried or is_back() else MENDED_PAUSE_SECONDS

        count = traffic.submit(Stage.SINCE, together=1, pause_seconds=pause)
        traffic.wait_quiet()
        self._desk.intervene(traffic)
        traffic.wait_quiet()
        how = "is back" if is_back() else "is still being tried"
        self._say(f"{providers.FIRST} {how}; {count} messages since")

    def _report(self, endpoints: providers.Endpoints) -> None:
        since = _now()
        found = reports.plan(self._rng, reports.find_sent(self._traffic), clock.now())
        self._say(f"{len(found)} reports by webhook ...")
        times = reports.post(self._http, endpoints, found)
        reports.wait(self._traffic, self._cast.workspace_id)
        if self._plan.window.is_spread:
            past.move_reports(self._cast.workspace_id, times, since=since)
        self._say("reported and applied")

    def _gather_readers(self) -> None:
        count = audience.FEW_READERS if self._is_hurried else audience.READERS
        readers = audience.Readers(self._http, self._cast)
        readers.gather(self._rng, count)
        readers.write()
        self._say(f"{count} contacts, and a campaign to them that is going out")

    def _say(self, text: str) -> None:
        print(f"{time.monotonic() - self._clock_began_at:5.1f} s  {text}", flush=True)


def _now() -> datetime:
    """The database's time."""
    now: datetime = database.execute_sql("SELECT clock_timestamp()").fetchone()[0]
    return now


_LAST = """
SELECT greatest(
    (SELECT max(created_at) FROM messages WHERE workspace_id = %(w)s),
    (SELECT max(created_at) FROM events WHERE workspace_id = %(w)s AND message_id IS NULL),
    (SELECT max(created_at) FROM provider_events WHERE workspace_id = %(w)s))
"""


def _find_last(workspace_id: int) -> datetime | None:
    """When something happened there last: the run before, and what came after it."""
    found: datetime | None = database.execute_sql(_LAST, {"w": workspace_id}).fetchone()[0]
    return found


def _fill_quiet(http: Http, cast: Cast) -> None:
    """Three messages in the second workspace, which is what a quiet one looks like."""
    key = casts.make_quiet_key(cast.quiet_id)
    for number in range(1, 4):
        body = {
            "from_email": "staging@example.com",
            "to_email": "tester@example.com",
            "subject": f"Test {number} of the new template",
            "body_text": "Does it look right?",
        }
        http.ask("POST", "/v1/messages", body, key=key)


def _farewell(found: Found, cast: Cast) -> str:
    password = casts.PASSWORD if cast.has_password else "(the one that you have chosen)"
    names = "\n".join(f"  {role.value:<10} {email}" for email, _, role in casts.PEOPLE)
    return f"""
Log in at http://{found.web}/login

{names}
  password   {password}

Look at
  - the log: filter by failed, unknown, held, suppressed; and leave it open, mail is still deferred
  - a message to greylist+..., drop-after-dot+... or tempfail+...: its timeline, and why
  - the outage an hour ago, of {providers.FIRST}: mail took {providers.SECOND}, which
    refused some of it as long as it did not know the sender; that can all be sent again at once
  - what was reported: bounces, complaints, two dead letters, a duplicate
  - the freeze of a domain, suppressions, unsubscribes, two versions of the policy
  - the audience, its segment, the template, and the campaign that is going out
  - the second workspace of {casts.ADMIN}, and the mail itself in the inbox

Run it again for the time since. To begin anew, stop maild and remove its folder.
"""


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.demo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--hurry", action="store_true", help="a tenth of the mail: only to see that it works"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
