"""How much work the styles of a source are for who puts them into its tags. Pure.

Every rule is held against every tag, and every declaration that fits against those that the tag has
already: a small source can keep a processor busy for minutes. What is counted here is never less
than what is done.
"""

import re
from collections.abc import Sequence

from maild.domain.html_tokens import BadHtml, Token

SELECTORS_MAX = 5_000
PROPERTIES_MAX = 200
"""Different ones; CSS has some hundreds, and mail programs know a few dozens."""
MATCHES_MAX = 20_000_000
"""Selectors times tags."""
COMPARISONS_MAX = 100_000_000
"""Declarations times different properties times tags."""
GROWTH_MAX = 100_000_000
"""Characters of styles times tags."""

_PROPERTY = re.compile(r"[;{]([^;{}:]*):")


def check(text: str, read: Sequence[Token]) -> None:
    """Raises BadHtml where the styles of a page would take too long to be put into its tags."""
    sheets = [token for token in read if token.kind == "raw" and token.name == "style"]
    css = "".join(text[token.at : token.end] for token in sheets)
    check_sheet(css, read, at=sheets[0].at if sheets else 0)
    for token in read:
        for attribute in token.attributes:
            if attribute.name == "style" and attribute.raw.count(";") > PROPERTIES_MAX:
                raise BadHtml(f"a style has more than {PROPERTIES_MAX} properties", attribute.at)


def check_sheet(css: str, read: Sequence[Token], *, at: int) -> None:
    """The same for a sheet that is not in the page itself, but stands at the index `at`."""
    tags = sum(token.kind == "start" for token in read)
    properties = len(set(_PROPERTY.findall(css)))
    selectors = css.count("{") + css.count(",")
    declarations = css.count(";") + css.count("{")
    if (
        selectors > SELECTORS_MAX
        or properties > PROPERTIES_MAX
        or selectors * tags > MATCHES_MAX
        or declarations * properties * tags > COMPARISONS_MAX
        or len(css) * tags > GROWTH_MAX
    ):
        raise BadHtml("there are too many styles for so many tags", at)
