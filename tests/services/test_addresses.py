"""The quick way through the parser answers as the library does."""

import email_validator
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maild.services import addresses

LOCALS = st.text(alphabet="aZ09._-+!'\"@ ü<", max_size=70) | st.sampled_from(
    ["INFO", "Postmaster", "a.b", ".a", "a.", "a..b", "x" * 64, "x" * 65, ""]
)
DOMAINS = st.text(alphabet="aZ09.-_ü@[] ß", max_size=80) | st.sampled_from(
    [
        "Example.ORG", "xn--bcher-kva.example", "bücher.example", "XN--BCHER-KVA.Example",
        "a" * 63 + ".org", "a" * 64 + ".org", ".".join(["abcdefghi"] * 25), "localhost",
        "[127.0.0.1]", "example.org.", "-a.org", "xn--.org", "xn--a-ecp.ru",
        ".".join(["xn--" + "80ak6aa92e"] * 16),
    ]
)  # fmt: skip


def by_the_library(text: str) -> addresses.Address | None:
    if len(text) > addresses.MAX_CHARS or len(text.rpartition("@")[0].encode()) > 64:
        return None
    try:
        checked = email_validator.validate_email(
            text, check_deliverability=False, globally_deliverable=False
        )
    except email_validator.EmailNotValidError:
        return None
    return addresses.Address(checked.normalized, checked.ascii_domain)


@given(LOCALS, DOMAINS)
def test_it_answers_as_the_library(local: str, domain: str) -> None:
    text = f"{local}@{domain}"
    expected = by_the_library(text)
    for _ in range(2):  # the second time from memory
        if expected is None:
            with pytest.raises(ValueError, match=r"^(is|has) "):
                addresses.parse(text)
        else:
            assert addresses.parse(text) == expected


def test_a_domain_that_is_none_is_not_remembered_as_one() -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="valid"):
            addresses.parse("ann@exa mple.org")
