"""The name under which an organisation has registered its domains, as far as a name tells. Pure.

RFC 7489 3.2 looks that up in a list of public suffixes, which changes weekly. This knows the usual
shapes of country registries and nothing else: good enough to tell people, not to judge mail.
"""

_SECOND_LEVEL = {
    *("ac", "co", "com", "edu", "gob", "gouv", "gov", "go", "info", "ltd", "me", "mil", "ne"),
    *("net", "nom", "or", "org", "plc", "sch", "web"),
}


def of(domain: str) -> str:
    """`example.co.uk` for mail.example.co.uk, `example.com` for mail.example.com."""
    labels = domain.lower().rstrip(".").split(".")
    is_country = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL
    return ".".join(labels[-3 if is_country else -2 :])


def is_same(one: str, other: str) -> bool:
    """Whether two domains belong to one organisation: relaxed alignment (RFC 7489 3.1)."""
    return of(one) == of(other)
