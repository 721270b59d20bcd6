"""What is found in the source of a template, tag by tag, with its line. Pure.

Tags that no mail program shows, and that would do something elsewhere, are refused altogether. The
rest is told: with a `stop` the mail is broken, or dangerous, for who gets it.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlsplit

from maild.domain.html_tokens import BadHtml, Token, words
from maild.domain.template import Finding, Severity

FINDINGS_MAX = 50
"""Of one source; whoever has so many finds the others when these are gone."""
LINKS_MAX = 100

REFUSED = words(
    "script svg math plaintext xmp iframe object embed applet frame frameset noembed "
    "noframes template noscript base portal"
)
_FORMS = words("form input button select textarea")
_PRIVATE_NAMES = (".local", ".internal", ".lan", ".localhost", ".test", ".invalid")
_LOADS = frozenset({"src", "background", "background-url"})
_HOST_IN_WORDS = re.compile(
    r"^\s*(?:https?://)?((?:[a-z0-9-]+\.)+[a-z]{2,})(?:[/:?#]\S*)?\s*$", re.I
)


def refuse(read: Sequence[Token]) -> None:
    """Raises BadHtml for a tag that has no business in a mail."""
    for token in read:
        if token.kind == "start" and token.name in REFUSED:
            message = f"<{token.name}> cannot be in a mail: no mail program shows it. Take it out"
            raise BadHtml(message, token.at)


def find(
    text: str, read: Sequence[Token], *, line_of: Callable[[int], int], is_mjml: bool
) -> list[Finding]:
    """What is to be said of a source's tags: FINDINGS_MAX at most. `line_of` gives the line of an
    index of the text.
    """
    found = []
    for token, finding in _find_all(text, read, is_mjml=is_mjml):
        line = line_of(token.at) if token is not None else None
        found.append(Finding(finding.severity, finding.code, finding.message, finding.advice, line))
        if len(found) == FINDINGS_MAX:
            break
    return found


def host_of(url: str) -> str:
    """The host of an absolute link, in lower case; empty where it has none that can be read."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def is_private_host(host: str) -> bool:
    """Whether nobody outside reaches a host by this name."""
    if host == "localhost" or host.endswith(_PRIVATE_NAMES):
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host


def _find_all(
    text: str, read: Sequence[Token], *, is_mjml: bool
) -> Iterator[tuple[Token | None, Finding]]:
    links = 0
    is_among_defaults = False
    for place, token in enumerate(read):
        if token.name == "mj-attributes":  # what other tags have, and no tags themselves
            is_among_defaults = token.kind == "start"
        if token.kind != "start" or is_among_defaults:
            continue
        yield from ((token, one) for one in _of_tag(token))
        if token.name in {"a", "mj-button", "mj-navbar-link"} or "href" in token.values:
            if token.name == "link":
                continue
            links += 1
            shown = _words_after(text, read, place)
            yield from ((token, one) for one in _of_link(token, shown))
    if links > LINKS_MAX:
        yield (
            None,
            Finding(
                Severity.WARN,
                "many_links",
                f"There are {links} links.",
                f"Filters grow suspicious of a mail with more than {LINKS_MAX}: leave some out.",
            ),
        )
    yield from ((None, one) for one in _of_page(read, is_mjml=is_mjml))


def _of_tag(token: Token) -> Iterator[Finding]:
    name = token.name
    if name in _FORMS:
        yield Finding(
            Severity.STOP,
            "form",
            f"There is a <{name}>.",
            "Mail programs leave forms out or warn of them: link to a page with the form.",
        )
    for attribute in token.attributes:
        if attribute.name.startswith("on") and len(attribute.name) > 2:
            yield Finding(
                Severity.STOP,
                "event_handler",
                f"<{name}> has the event handler {attribute.name[:30]}.",
                "Nothing runs in a mail: take it out.",
            )
    equiv = token.values.get("http-equiv", "").lower()
    if name == "meta" and equiv == "refresh":
        yield Finding(
            Severity.STOP,
            "refresh",
            "A <meta> leads to another page by itself.",
            "Mail programs do not follow it, and filters take it for fraud: take it out.",
        )
    if name == "link" and "stylesheet" in token.values.get("rel", "").lower():
        yield Finding(
            Severity.WARN,
            "remote_style",
            "A style sheet is linked. It is not fetched, and not in the mail.",
            "Copy its styles into a <style>.",
        )
    if name in {"img", "mj-image"} and "alt" not in token.values:
        yield Finding(
            Severity.WARN,
            "image_without_alt",
            "An image has no alt.",
            'Say what it shows, or alt="" where it shows nothing: many see mail without images.',
        )
    for attribute in token.attributes:
        if attribute.name in _LOADS:
            yield from _of_load(token, attribute.value.strip())


def _of_load(token: Token, url: str) -> Iterator[Finding]:
    scheme = scheme_of(url)
    if not url and token.name in {"img", "mj-image"}:
        yield Finding(
            Severity.STOP, "image_without_src", "An image has no address.", "Give it a src."
        )
    elif scheme in {"http", "https"} and is_private_host(host_of(url)):
        yield _private(url)
    elif scheme == "http":
        yield Finding(
            Severity.WARN,
            "image_by_http",
            f"An image is loaded by http, from {host_of(url) or 'a host that cannot be read'}.",
            "Use https: many mail programs load nothing else.",
        )
    elif scheme in {"javascript", "vbscript", "file"}:
        yield _dangerous(url)
    elif scheme == "data":
        yield Finding(
            Severity.WARN,
            "image_in_data",
            "An image is written into the mail as data.",
            "Gmail and Outlook do not show it: put it on a web server.",
        )


def _of_link(token: Token, shown: str) -> Iterator[Finding]:
    url = token.values.get("href")
    if url is None:
        if not {"name", "id"} & token.values.keys():  # else it is where another link leads
            yield _empty_link()
        return
    url = url.strip()
    scheme = scheme_of(url)
    host = host_of(url)
    if not url or url == "#":
        yield _empty_link()
    elif scheme in {"javascript", "vbscript", "data", "file"}:
        yield _dangerous(url)
    elif scheme in {"http", "https"}:
        if not host:
            yield _no_scheme(url)
        elif is_private_host(host):
            yield _private(url)
        elif scheme == "http":
            yield Finding(
                Severity.WARN,
                "link_by_http",
                f"A link leads to {host} by http.",
                "Use https, so that nobody reads or changes what is behind it.",
            )
        named = _HOST_IN_WORDS.match(shown)
        if named and host and not _is_same_site(named[1].lower(), host):
            yield Finding(
                Severity.WARN,
                "link_names_other_host",
                f"A link reads {named[1][:60]} and leads to {host[:60]}.",
                "Filters take that for fraud: write words instead, or the address it leads to.",
            )
    elif not scheme and not url.startswith("#") and not _is_filled_in(url):
        yield _no_scheme(url)


def _of_page(read: Sequence[Token], *, is_mjml: bool) -> Iterator[Finding]:
    starts = [token for token in read if token.kind == "start"]
    names = {token.name for token in starts}
    if not names & {"title", "mj-title"}:
        yield Finding(
            Severity.HINT,
            "no_title",
            "The page has no <title>.",
            "Screen readers read it first: say in a few words what the mail is about.",
        )
    root = next((token for token in starts if token.name in {"html", "mjml"}), None)
    if root is None or not root.values.get("lang"):
        yield Finding(
            Severity.HINT,
            "no_language",
            "The page does not say in which language it is.",
            f'Write <{"mjml" if is_mjml else "html"} lang="en">: it is how it is read aloud.',
        )


def scheme_of(url: str) -> str:
    """The scheme of a link, as browsers read it; empty where it has none."""
    match = re.match(r"([a-z][a-z0-9+.-]*):", re.sub(r"[\x00-\x20]", "", url), re.IGNORECASE)
    return match[1].lower() if match else ""


def _words_after(text: str, read: Sequence[Token], place: int) -> str:
    """The words of a link: the texts up to its end tag, as far as they are of interest."""
    found = []
    for token in read[place + 1 : place + 20]:
        if token.kind == "end" and token.name == read[place].name:
            break
        if token.kind == "text":
            found.append(text[token.at : token.end])
    return "".join(found)[:300]


def _is_same_site(one: str, other: str) -> bool:
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")


def _is_filled_in(url: str) -> bool:
    """Whether the beginning of a link comes from data: then nobody knows its scheme."""
    return re.match(r"mrg\d+x\d+q", url) is not None


def _empty_link() -> Finding:
    return Finding(
        Severity.STOP, "empty_link", "A link leads nowhere.", "Give it a href, or take it out."
    )


def _no_scheme(url: str) -> Finding:
    return Finding(
        Severity.STOP,
        "link_without_scheme",
        f"The link {url[:60]!r} has no scheme.",
        "A mail has no address of its own that it could be relative to: begin with https://.",
    )


def _dangerous(url: str) -> Finding:
    return Finding(
        Severity.STOP,
        "dangerous_link",
        f"The link {url[:30]!r} would run something, or open a file.",
        "No mail program follows it, and filters stop the mail: take it out.",
    )


def _private(url: str) -> Finding:
    return Finding(
        Severity.STOP,
        "private_host",
        f"{host_of(url)[:60]} is a host that only your own network knows.",
        "Whoever gets the mail cannot reach it: use the public address.",
    )
