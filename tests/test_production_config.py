"""deploy/production-config.md has every setting, each with an owner, a period and a way."""

import re

from maild import config
from maild.errors import ConfigError
from tests.production import PRODUCTION
from tests.test_docs import code, read, rows

DOCUMENT = "deploy/production-config.md"
COLUMNS = 6


def table() -> dict[str, list[str]]:
    """The cells of each setting's row."""
    return {name: row for row in rows(read(DOCUMENT)) if (name := code(row[0]))}


def is_secret(name: str) -> bool:
    """Whether it may come from a file."""
    try:
        config.load({**PRODUCTION, name: "", f"{name}_FILE": "/nonexistent/secret"})
    except ConfigError as error:
        return f"{name}_FILE" in {one.field for one in error.errors}
    return False


def test_it_has_every_setting_and_no_other() -> None:
    listed = [name for row in rows(read(DOCUMENT)) if (name := code(row[0]))]
    assert sorted(listed) == sorted(config.setting_names())


def test_no_cell_is_empty() -> None:
    thin = [name for name, row in table().items() if len(row) != COLUMNS or not all(row)]
    assert thin == []


def test_every_owner_is_introduced() -> None:
    introduced = set(re.findall(r"\*(\w+)\* (?:runs|answers|has|decides)", read(DOCUMENT)))
    assert {row[2] for row in table().values()} == introduced


def test_every_secret_is_among_the_secrets_and_has_a_period() -> None:
    secrets = {name for name in config.setting_names() if is_secret(name)}
    section = read(DOCUMENT).partition("## Secrets\n")[2].partition("\n## ")[0]
    assert {code(row[0]) for row in rows(section)} - {None} == secrets
    periodless = [name for name in secrets if re.match("never", table()[name][3])]
    assert periodless == []


def test_every_way_is_described() -> None:
    described = set(re.findall(r"^### (.+)$", read(DOCUMENT), re.MULTILINE))
    ways = {row[4] for row in table().values()}
    named = {way for way in ways if any(way.startswith(one) for one in described)}
    # Those that are not named begin with a step of their own, and then restart.
    assert [way for way in ways - named if "*Restart*" not in way and "start" not in way] == []
