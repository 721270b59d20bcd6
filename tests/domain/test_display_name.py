"""Names of people and workspaces."""

import pytest

from maild.domain import display_name


@pytest.mark.parametrize("name", ["Ann", "Ünal ✨", "R&D / Ops", "acme.com", "O'Neill, Jr.", "عمر"])
def test_a_name_is_nearly_anything(name):
    assert display_name.find_fault(name, max_chars=64) is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "required"),
        ("a\nb", "printable"),
        ("a\x00b", "printable"),
        ("\u202egnp.exe", "printable"),
        ("sign in at https://evil.example/", "web address"),
        ("WWW.evil.example", "web address"),
        ("x" * 65, "longer than 64"),
        ("\ud800", "printable"),
    ],
)
def test_what_is_no_name_is_told(name, words):
    assert words in display_name.find_fault(name, max_chars=64)
