"""The chapters of the reference: what the operations of /v1 are about, in the order to read them.

An operation belongs to the chapter with the longest beginning of its path.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tag:
    """A chapter. `paths` are beginnings of the paths in it."""

    name: str
    description: str
    paths: tuple[str, ...]

    @property
    def anchor(self) -> str:
        return self.name.lower().replace(" ", "-")


TAGS = (
    Tag(
        "Messages",
        "Submit mail, read what became of it, search the log, and act on messages by hand.",
        ("/v1/messages",),
    ),
    Tag(
        "SMTP accounts",
        "The providers that a workspace's mail goes through, and how they do.",
        ("/v1/smtp-accounts",),
    ),
    Tag(
        "Policy",
        "The rules of a workspace: limits, blocked domains, attempts. Every change is a version.",
        ("/v1/workspaces/policy",),
    ),
    Tag(
        "Retention",
        "For how long a workspace keeps what, and how much room that takes.",
        ("/v1/workspaces/retention",),
    ),
    Tag("Freezes", "Let some mail stand still, for a reason and until a time.", ("/v1/freezes",)),
    Tag("Suppressions", "Addresses that must not be mailed, and why.", ("/v1/suppressions",)),
    Tag(
        "Topics",
        "What a workspace mails about, as the preference centre tells its recipients.",
        ("/v1/topics", "/preferences/"),
    ),
    Tag(
        "Unsubscribes",
        "People who do not want mail any more: of a topic, of a stream, or at all.",
        ("/v1/unsubscribes", "/u/"),
    ),
    Tag(
        "Campaigns",
        "One mail to many contacts: write it, check it, have it approved, send it, and read what"
        " became of whom.",
        ("/v1/campaigns",),
    ),
    Tag(
        "Contacts",
        "The people whom a workspace may want to mail: what is known of them, and how they stand.",
        ("/v1/contacts", "/opt-in/"),
    ),
    Tag(
        "Audiences",
        "Lists of contacts that people and programs put together.",
        ("/v1/audiences",),
    ),
    Tag(
        "Segments",
        "Rules that say who belongs to a group of contacts, and whom they mean at the moment.",
        ("/v1/segments",),
    ),
    Tag(
        "Templates",
        "Mails with gaps in them: written once, kept in versions, filled in for each recipient.",
        ("/v1/templates",),
    ),
    Tag("Domains", "What the DNS says of the domains that mail comes from.", ("/v1/domains",)),
    Tag("DKIM keys", "The keys that sign a domain's mail.", ("/v1/domains/dkim-keys",)),
    Tag(
        "Reports from providers",
        "What providers report of mail after they took it: taking it in, the log, dead letters.",
        ("/v1/webhooks",),
    ),
    Tag(
        "Webhook endpoints",
        "The addresses that providers report to, and their secrets.",
        ("/v1/webhooks/endpoints",),
    ),
    Tag(
        "Incidents",
        "What goes wrong, grouped, and what people do about it.",
        ("/v1/incidents", "/v1/deployments"),
    ),
    Tag(
        "Notifications",
        "Who is told of incidents, and what they were told.",
        ("/v1/notification",),
    ),
    Tag(
        "Analytics",
        "How much happened to a workspace's mail, counted as it happens.",
        ("/v1/analytics", "/v1/billing"),
    ),
    Tag("API keys", "The keys of a workspace.", ("/v1/api-keys",)),
    Tag("Audit log", "Who did what.", ("/v1/audit",)),
    Tag("Onboarding", "How far a workspace is set up.", ("/v1/ops",)),
    Tag(
        "Service",
        "For machines that watch maild, and for programs that read its contract. No key is needed.",
        ("/healthz", "/readyz", "/v1/openapi.json"),
    ),
)


def tag_of(path: str) -> Tag:
    """The chapter of a path. Raises LookupError for one that has none."""
    found = [(len(start), tag) for tag in TAGS for start in tag.paths if path.startswith(start)]
    if not found:
        raise LookupError(f"no tag of openapi_tags.TAGS is for {path}")
    return max(found, key=lambda pair: pair[0])[1]
