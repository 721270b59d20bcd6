"""What MJML has to look like to be compiled as its writer meant it. Pure.

The compiler skips what it does not know and says little of what it does not like; here it is said,
and where.
"""

from collections.abc import Sequence
from itertools import pairwise

from maild.domain.html_tokens import BadHtml, Token, words

COMPONENTS = words(
    "mjml mj-head mj-body mj-attributes mj-all mj-class mj-breakpoint mj-font "
    "mj-html-attributes mj-selector mj-html-attribute mj-preview mj-style mj-title "
    "mj-accordion mj-accordion-element mj-accordion-title mj-accordion-text mj-button "
    "mj-carousel mj-carousel-image mj-column mj-divider mj-group mj-hero mj-image "
    "mj-navbar mj-navbar-link mj-raw mj-section mj-social mj-social-element mj-spacer "
    "mj-table mj-text mj-wrapper"
)


COMPONENTS_MAX = 2_000
"""Tags of MJML: each becomes some ten of HTML, and those of some kinds are held against each other.
"""
CAROUSEL_MAX = 30
"""Images of all carousels: each has a style for each other one."""


def check(text: str, read: Sequence[Token]) -> None:
    """Raises BadHtml for a component that there is not, a page without a body, a loose `<`."""
    names = [token.name for token in read if token.kind == "start"]
    if not names or names[0] != "mjml":
        raise BadHtml("MJML begins with <mjml>", 0)
    if "mj-body" not in names:
        raise BadHtml("<mj-body> is missing: the mail has no content", 0)
    components = [one for one in read if one.kind == "start" and one.name.startswith("mj-")]
    if len(components) > COMPONENTS_MAX:
        message = f"there are more than {COMPONENTS_MAX:,} tags of MJML"
        raise BadHtml(message, components[COMPONENTS_MAX].at)
    images = [one for one in read if one.kind == "start" and one.name == "mj-carousel-image"]
    if len(images) > CAROUSEL_MAX:
        message = f"there are more than {CAROUSEL_MAX} images in carousels"
        raise BadHtml(message, images[CAROUSEL_MAX].at)
    for token in read:
        if token.name == "mj-include":
            raise BadHtml("<mj-include> is not taken: nothing is fetched", token.at)
        if token.name.startswith("mj-") and token.name not in COMPONENTS:
            raise BadHtml(f"there is no <{token.name[:40]}> in MJML", token.at)
        for attribute in token.attributes:
            if text[attribute.at - 1] not in "\"'":
                raise BadHtml(f"{attribute.name[:40]} needs a value in quotes", attribute.at)
        if token.kind == "text":
            loose = text.find("<", token.at, token.end)
            if loose >= 0:
                raise BadHtml("a “<” that begins no tag is written &lt;", loose)


def find_inline_styles(text: str, read: Sequence[Token]) -> list[str]:
    """The style sheets that are to be put into the tags: `<mj-style inline="inline">`."""
    return [
        text[sheet.at : sheet.end]
        for tag, sheet in pairwise(read)
        if tag.kind == "start" and tag.name == "mj-style" and "inline" in tag.values.values()
        if sheet.kind == "raw"
    ]
