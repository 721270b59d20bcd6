"""The red bar above every page of the console while some mail of the workspace stands still.

It costs one small statement a page, and none where there is no workspace. A page that stays open
asks again every POLL_SECONDS. Whoever reads with their ears hears of a change once.
"""

from dataclasses import dataclass

from flask import Flask

from maild import clock, db
from maild.errors import Unavailable
from maild.services import freeze_watch
from maild.services.freeze_watch import Standing
from maild.web import freeze_words, render

POLL_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Bar:
    """What the bar tells: the widest freeze, and how many more there are. Without `widest` nothing
    is frozen.

    `mark` is of all that it shows; `news_mark` of what is worth saying aloud.
    """

    widest: Standing | None
    name: str
    until: str
    held: str | None
    more_count: int
    mark: str
    news_mark: str
    poll_seconds: int = POLL_SECONDS

    @property
    def news(self) -> str:
        """The same as a sentence to be heard."""
        if self.widest is None:
            return "Nothing is frozen any more."
        more = f" And {self.more_count} more." if self.more_count else ""
        return f"Frozen: {self.name}, until {self.until}. Reason: {self.widest.reason}.{more}"


def register(app: Flask) -> None:
    """Teach it to the templates, which ask only where a whole page is made."""
    app.jinja_env.globals.update(find_freeze_bar=find)


def find(workspace_id: int) -> Bar | None:
    """The bar of a workspace; None where the database is away, which the page tells itself."""
    try:
        with db.connection():
            standing = freeze_watch.look(workspace_id)
    except Unavailable:
        return None
    return _bar(standing)


def _bar(standing: list[Standing]) -> Bar:
    widest = standing[0] if standing else None
    return Bar(
        widest=widest,
        name=freeze_words.name(widest.kind, widest.target, widest.key_name) if widest else "",
        until=freeze_words.until(widest.expires_at, now=clock.now()) if widest else "",
        held=freeze_words.held(widest) if widest else None,
        more_count=max(0, len(standing) - 1),
        mark=render.digest([(one.id, one.expires_at, one.held_count) for one in standing]),
        news_mark=render.digest([(one.id, one.expires_at) for one in standing]),
    )
