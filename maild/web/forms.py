"""Forms: what is typed into a page. What is right is for the services to say, and `show` brings
what they say to the fields that it is about.
"""

from flask import request
from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict
from wtforms import Field

from maild.errors import MaildError


class Form(FlaskForm):
    """A form of a page. `problem` is what is wrong with it as a whole, and `link` where to go then,
    with its words.
    """

    problem: str = ""
    link: tuple[str, str] | None = None

    class Meta(FlaskForm.Meta):
        def wrap_formdata(self, form: FlaskForm, formdata: object) -> object:
            """Fields of a form that was sent, and nothing else: neither JSON nor files. Nobody
            expects them here, and what limits tries by the address would not see them.
            """
            if formdata is not None and not isinstance(formdata, MultiDict):  # it was not given
                return request.form if request.method == "POST" else None
            return formdata

    def show(self, error: MaildError, **fields: str) -> None:
        """Tell at each field what a service has said of it, and of the rest at the top; `fields`
        gives the names here of those that are called otherwise there.
        """
        left: list[str] = []
        for one in error.errors:
            name = fields.get(one.field, one.field)
            if name in self:
                _complain(self[name], one.message)
            else:
                left.append(f"{one.field}: {one.message}")
        if not error.errors:
            left.append(error.detail)
        self.problem = " ".join(left)

    def complain(self, name: str, message: str) -> None:
        """Tell at one field what is wrong."""
        _complain(self[name], message)


def text(value: str | None) -> str:
    """What was typed; a field that was not sent at all is empty."""
    return value or ""


def _complain(field: Field, message: str) -> None:
    sentence = f"{message[:1].upper()}{message[1:]}"
    field.errors = [
        *field.errors,
        sentence if sentence.endswith((".", "!", "?")) else f"{sentence}.",
    ]
