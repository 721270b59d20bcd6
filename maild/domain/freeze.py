"""What a freeze may stop, for how long, and whether it still does. Pure."""

from datetime import UTC, datetime
from enum import StrEnum

MAX_DAYS = 30
"""How far ahead its end may lie: nothing stands still because somebody forgot it."""
NEVER = datetime(9999, 12, 31, tzinfo=UTC)
"""The end of a freeze that only a person ends. Nobody may ask for one: a restore makes them."""


class FreezeKind(StrEnum):
    """Which mail stands still. All but the first have a target."""

    WORKSPACE = "workspace"
    """All of it."""
    STREAM = "stream"
    """Target: `transactional` or `marketing`."""
    SMTP_ACCOUNT = "smtp_account"
    """Nothing goes through this account (its name); mail takes another one, or waits."""
    API_KEY = "api_key"
    """What was submitted with this key (its id)."""
    FROM_EMAIL = "from_email"
    """What comes from this address, in lower case."""
    RECIPIENT_DOMAIN = "recipient_domain"
    """What goes to this domain: as messages keep it, in lower case and Unicode."""


class FreezeState(StrEnum):
    """Every freeze is in exactly one."""

    IN_FORCE = "in_force"
    ENDED = "ended"
    """Its time is over, or a person lifted it."""
