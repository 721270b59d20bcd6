"""The email providers whose webhooks maild understands, by the names that stand in the addresses.

Each is one module, which verifies and parses what the provider sends; `base.py` says what such a
module has. To add a provider: write `<name>.py` beside this file and its tests, and put it into
PROVIDERS. Nothing else names providers. `generic.py` is maild's own format and none of these;
`maild.py` takes that format at an endpoint, as the others take theirs.
"""

from collections.abc import Collection, Mapping
from typing import Protocol, runtime_checkable

from maild.domain.provider_event import ProviderEvent
from maild.transports.webhooks import (
    brevo,
    maild,
    mailersend,
    mailgun,
    mailjet,
    mailtrap,
    mandrill,
    postal,
    postmark,
    resend,
    sendgrid,
    ses,
    sparkpost,
    unisender_go,
)
from maild.transports.webhooks.base import Keys, Request


@runtime_checkable
class ChecksSecrets(Protocol):
    """What a provider's module has where it can tell a signing secret from what is none."""

    def check_secret(self, secret: str) -> None: ...


class Provider(Protocol):
    """What a provider's module has; `base.py` says more of each, and of `check_secret`, which not
    every one has.
    """

    @property
    def TITLE(self) -> str: ...  # noqa: N802
    @property
    def SIGNS(self) -> bool: ...  # noqa: N802
    @property
    def SECRET_IS(self) -> str: ...  # noqa: N802
    @property
    def KEPT_HEADERS(self) -> Collection[str]: ...  # noqa: N802

    def verify(self, request: Request, keys: Keys) -> None: ...

    def parse(self, request: Request) -> list[ProviderEvent]: ...


PROVIDERS: Mapping[str, Provider] = {
    "brevo": brevo,
    "maild": maild,
    "mailersend": mailersend,
    "mailgun": mailgun,
    "mailjet": mailjet,
    "mailtrap": mailtrap,
    "mandrill": mandrill,
    "postal": postal,
    "postmark": postmark,
    "resend": resend,
    "sendgrid": sendgrid,
    "ses": ses,
    "sparkpost": sparkpost,
    "unisender_go": unisender_go,
}


SIGNED_BY_ID = frozenset({"mailgun"})
"""Those who sign the id of an event and not what it says: one id is one event, whatever comes with
it, so that nobody can have a signature that was seen say something else.
"""


def get(name: str) -> Provider:
    """The provider of that name. Raises KeyError."""
    return PROVIDERS[name]
