"""What is to be said of a template as a whole: size, subject, fields, the way out. Pure.

What is found in its tags, line by line, is `source_findings`.
"""

import re
from collections.abc import Collection, Iterator, Sequence

from maild.domain.merge.template import Field, split
from maild.domain.template import Finding, Severity, Source, TemplateFormat

CLIPPED_BYTES = 102 * 1024
"""Gmail shows so much of a mail, and the rest behind a link."""
LARGE_BYTES = 80 * 1024
SUBJECT_SEEN_CHARS = 70
"""As many fit beside a sender's name on most screens."""
SUBJECT_LONG_CHARS = 150
WORDS_MIN = 20
"""With fewer, a mail with images is one of images alone."""
ALWAYS_KNOWN = frozenset({"contact.email"})
WAY_OUT = frozenset({"unsubscribe_url", "preferences_url"})

_RANK = {Severity.STOP: 0, Severity.WARN: 1, Severity.HINT: 2}
_SPAM_WORDS = re.compile(
    r"\b(?:100% free|act now|buy now|cash bonus|click here|earn money|free money|make money|"
    r"no risk|risk[- ]free|winner|you have been selected|viagra)\b",
    re.IGNORECASE,
)
_TAG = re.compile(r"<[^>]*>")


def check(
    source: Source,
    *,
    html: str,
    text: str,
    fields: Sequence[Field],
    found: Sequence[Finding] = (),
    attributes: Collection[str] | None = None,
) -> list[Finding]:
    """All findings, gravest first; `found` are those of its tags. `attributes` are the names that
    contacts have something under; None: nobody knows.
    """
    all_found = [
        *found,
        *_of_subject(source),
        *_of_content(source, html, text),
        *_of_fields(fields, attributes),
        *_of_way_out(fields, html, text),
    ]
    return in_order(all_found)


def in_order(found: Sequence[Finding]) -> list[Finding]:
    """The gravest first, and otherwise as they were found."""
    return sorted(found, key=lambda one: _RANK[one.severity])


def _of_subject(source: Source) -> Iterator[Finding]:
    words = _outside_tags(source.subject).strip()
    if len(words) > SUBJECT_LONG_CHARS:
        yield Finding(
            Severity.WARN,
            "long_subject",
            f"The subject has {len(words)} characters.",
            f"Screens show about {SUBJECT_SEEN_CHARS}: say the same in fewer.",
        )
    elif len(words) > SUBJECT_SEEN_CHARS:
        yield Finding(
            Severity.HINT,
            "long_subject",
            f"The subject has {len(words)} characters.",
            f"Screens show about {SUBJECT_SEEN_CHARS}: begin with what matters.",
        )
    letters = [letter for letter in words if letter.isalpha()]
    if len(letters) >= 8 and all(letter.isupper() for letter in letters):
        yield Finding(
            Severity.WARN,
            "subject_in_capitals",
            "The subject is in capitals.",
            "It is read as shouting, by people and by filters.",
        )
    if "!!" in words or "$$" in words:
        yield Finding(
            Severity.HINT,
            "subject_shouts",
            "The subject has several exclamation marks or currency signs in a row.",
            "One is enough; filters count them.",
        )
    has_page = source.format is not TemplateFormat.TEXT
    if has_page and not source.preheader.strip() and "<mj-preview" not in source.source:
        yield Finding(
            Severity.HINT,
            "no_preheader",
            "There is no preheader.",
            "Mail programs show the first words of the mail beside the subject: choose them.",
        )


def _of_content(source: Source, html: str, text: str) -> Iterator[Finding]:
    size = len(html.encode())
    if size > CLIPPED_BYTES:
        yield Finding(
            Severity.WARN,
            "clipped",
            f"The HTML has {size // 1024} KB, before its gaps are filled.",
            "Gmail cuts a mail off after 102 KB, and the link to unsubscribe with it: shorten it.",
        )
    elif size > LARGE_BYTES:
        yield Finding(
            Severity.HINT,
            "large",
            f"The HTML has {size // 1024} KB, before its gaps are filled.",
            "Gmail cuts a mail off after 102 KB.",
        )
    words = _outside_tags(text).split()
    if not words:
        yield Finding(
            Severity.WARN,
            "no_text",
            "The text part is empty.",
            "Who reads mail as text sees nothing, and filters take it for spam: write one.",
        )
    if html and "<img" in html and len(words) < WORDS_MIN:
        yield Finding(
            Severity.WARN,
            "images_only",
            "The mail is made of images, with hardly a word.",
            "Where images are not loaded it is empty: write what matters as text.",
        )
    spam = _SPAM_WORDS.search(f"{_outside_tags(source.subject)}\n{_TAG.sub(' ', text)}")
    if spam:
        yield Finding(
            Severity.HINT,
            "spam_words",
            f"It says “{spam[0]}”, as much spam does.",
            "One such word does little harm; say it in words of your own where you can.",
        )


def _of_fields(fields: Sequence[Field], attributes: Collection[str] | None) -> Iterator[Finding]:
    for field in fields:
        root, _, name = field.name.partition(".")
        if root != "contact" or field.name in ALWAYS_KNOWN:
            continue
        is_known = attributes is None or name.partition(".")[0] in {"name", *attributes}
        if not is_known:
            yield Finding(
                Severity.WARN if field.has_default else Severity.STOP,
                "unknown_field",
                f"No contact has {field.name}.",
                "Look at how the attribute is spelled, or add it to contacts first.",
                field.line,
            )
        elif not field.has_default:
            yield Finding(
                Severity.WARN,
                "no_default",
                f"{field.name} has no default.",
                f'Contacts without it get no mail: {{{{ {field.name} | default: "…" }}}}.',
                field.line,
            )
    needed = [one.name for one in fields if one.name.startswith("data.") and not one.has_default]
    if needed:
        yield Finding(
            Severity.HINT,
            "needs_data",
            f"It needs {', '.join(needed[:5])}{' and more' if len(needed) > 5 else ''}.",
            "Only programs can give it, as `data` of POST /v1/messages: a campaign has none.",
        )


def _of_way_out(fields: Sequence[Field], html: str, text: str) -> Iterator[Finding]:
    named = {field.name for field in fields}
    if not named & WAY_OUT:
        yield Finding(
            Severity.WARN,
            "no_unsubscribe_link",
            "There is no link to unsubscribe in the text.",
            "Marketing mail needs one that people see: link to {{ unsubscribe_url }}. The header"
            " List-Unsubscribe is written by maild. Transactional mail needs neither.",
        )
    elif html and not any(name in text for name in WAY_OUT):
        yield Finding(
            Severity.HINT,
            "no_unsubscribe_link_in_text",
            "The text part has no link to unsubscribe.",
            "Who reads mail as text needs {{ unsubscribe_url }} too.",
        )


def _outside_tags(text: str) -> str:
    """A text without its merge fields."""
    return "".join(piece.whole for piece in split(text) if piece.kind == "text")
