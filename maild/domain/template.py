"""Templates of mail: what they are written in, how large they may be, what is a finding. Pure.

The rules by which something is found are in `template_checks`.
"""

from dataclasses import dataclass
from enum import StrEnum

NAME_MAX_CHARS = 100
NOTE_MAX_CHARS = 500
SUBJECT_MAX_CHARS = 2_000
"""With its merge fields; filled in, it is a subject like others."""
PREHEADER_MAX_CHARS = 1_000
SOURCE_MAX_BYTES = 1_000_000
HTML_MAX_CHARS = 2_000_000
"""What a source may come to: MJML becomes several times as much HTML."""
DATA_MAX_BYTES = 32_768
"""Of JSON that one mail is filled in with."""
TEMPLATES_MAX = 10_000
"""Of one workspace, archived ones too."""


class TemplateFormat(StrEnum):
    HTML = "html"
    MJML = "mjml"
    TEXT = "text"
    """There is no HTML part."""


class Severity(StrEnum):
    """How grave a finding is, gravest first."""

    STOP = "stop"
    """Whoever gets the mail gets something broken, or it may not be sent at all."""
    WARN = "warn"
    HINT = "hint"


@dataclass(frozen=True, slots=True)
class Source:
    """A template as it is written. `source` is HTML or MJML, and empty for mail of text alone;
    an empty `source_text` is made of the HTML.
    """

    subject: str
    format: TemplateFormat
    source: str = ""
    source_text: str = ""
    preheader: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to be told about a template: a word for programs, a sentence, what to do about it,
    and in which line of the source it is, where it is in one.
    """

    severity: Severity
    code: str
    message: str
    advice: str
    line: int | None = None
