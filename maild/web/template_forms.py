"""The forms of a template: the composer's fields, what they say, and the data that a preview is
filled in with. What a template may be is for `services/templates` to say.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from wtforms import BooleanField, HiddenField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice

from maild.domain import submission
from maild.domain.template import Source, TemplateFormat
from maild.models import TemplateDraft, TemplateVersion
from maild.web import render
from maild.web.forms import Form, text
from maild.web.template_starts import Start

MAX_FORM_BYTES = 8 * 1024 * 1024
"""A source of the largest size, as a form sends it: most characters of markup become three."""
SAMPLE_MAX_CHARS = 32_768
_VERSION_MAX = 2**31 - 1

FORMATS: dict[TemplateFormat, str] = {
    TemplateFormat.HTML: "HTML",
    TemplateFormat.MJML: "MJML",
    TemplateFormat.TEXT: "Text alone",
}
CONTENT = ("subject", "preheader", "format", "source", "source_text")
"""The fields of a version."""
KEPT = ("name", *CONTENT, "note", "contact", "sample")
"""The fields that a draft keeps."""


class ComposerForm(Form):
    name = StringField("Name")
    subject = StringField("Subject")
    preheader = StringField("Preheader")
    format = SelectField(
        "Format", choices=[SelectChoice(one.value, told) for one, told in FORMATS.items()]
    )
    source = TextAreaField("Source")
    source_text = TextAreaField("Text")
    note = StringField("Note")
    version = HiddenField()
    """The version from which it was made."""
    contact = StringField("Contact")
    """The address of the contact that the preview is filled in as; empty: sample data."""
    sample = TextAreaField("Sample data")
    pictures = BooleanField("Load pictures from elsewhere")
    shown = HiddenField()
    """The mark of what the frame shows."""


class NameForm(Form):
    name = StringField("Name")


def of_start(start: Start, *, sample: str) -> ComposerForm:
    """The form of a new template that begins so."""
    return ComposerForm(
        formdata=None,
        name=start.name,
        subject=start.subject,
        preheader=start.preheader,
        format=start.format.value,
        source=start.source,
        source_text=start.source_text,
        version="0",
        sample=sample,
    )


def of_version(version: TemplateVersion, *, sample: str) -> ComposerForm:
    """The form of a saved version."""
    values = {name: getattr(version, name) for name in CONTENT}
    values["format"] = version.format.value
    return ComposerForm(formdata=None, version=str(version.version), sample=sample, **values)


def of_draft(draft: TemplateDraft) -> ComposerForm:
    """The form as it was left."""
    kept = {name: draft.typed.get(name) or "" for name in KEPT}
    return ComposerForm(formdata=None, version=str(draft.version), **kept)


def typed(form: ComposerForm) -> dict[str, str]:
    """What a draft keeps of a form."""
    return {name: text(form[name].data) for name in KEPT}


def source_of(form: ComposerForm) -> Source:
    """What was typed, with the line ends of a form made plain. A format that is none is HTML."""
    values = {name: _plain(text(form[name].data)) for name in CONTENT if name != "format"}
    chosen = text(form.format.data)
    known = TemplateFormat(chosen) if chosen in set(TemplateFormat) else TemplateFormat.HTML
    if known is TemplateFormat.TEXT:
        values["source"] = ""
    return Source(format=known, **values)


def is_as_saved(form: ComposerForm, version: TemplateVersion) -> bool:
    """Whether a form says nothing else than the version does."""
    source = source_of(form)
    return all(getattr(source, name) == getattr(version, name) for name in CONTENT)


def version_of(form: ComposerForm) -> int:
    """From which version it was made; 0 where that makes no sense."""
    return parse_number(form.version.data) or 0


def parse_number(typed_text: str | None) -> int | None:
    """The number of a version; None where it is none."""
    stripped = text(typed_text)
    is_number = stripped.isascii() and stripped.isdecimal() and len(stripped) <= 10
    number = int(stripped) if is_number else None
    return number if number is not None and number <= _VERSION_MAX else None


def read_sample(form: ComposerForm) -> Mapping[str, Any] | None:
    """The sample data, an object; None where it is wrong, which the form tells at its field."""
    try:
        return _parse_sample(text(form.sample.data).strip())
    except RecursionError:
        form.complain("sample", "is nested too deeply")
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        form.complain("sample", f"is not JSON: {error.msg} at {place}")
    except ValueError as error:
        form.complain("sample", str(error))
    return None


def _parse_sample(written: str) -> Mapping[str, Any]:
    """Raises ValueError, also for what JSON does not have or no message can hold, and
    RecursionError.
    """
    if not written:
        return {}
    if len(written) > SAMPLE_MAX_CHARS:
        raise ValueError(f"is longer than {SAMPLE_MAX_CHARS:,} characters")
    found = json.loads(written, parse_constant=_refuse, parse_float=_finite)
    if not isinstance(found, dict):
        raise ValueError('must be an object, such as {"data": {"order": "1234"}}')
    for _, message in submission.check_storable("sample", found):
        raise ValueError(message)
    return found


def mark_of(html: str, *, pictures: bool) -> str:
    """The mark of what a frame shows."""
    return render.digest(html, pictures)


def _plain(typed_text: str) -> str:
    return typed_text.replace("\r\n", "\n").replace("\r", "\n")


def _refuse(constant: str) -> Any:
    raise ValueError(f"is not JSON: {constant} is no number")


def _finite(written: str) -> float:
    number = float(written)
    return number if math.isfinite(number) else _refuse(written)
