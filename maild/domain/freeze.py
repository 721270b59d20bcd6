"""What a freeze may stop. Pure."""

from enum import StrEnum


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
    """What goes to this domain: A-labels, lower case."""
