"""The web: HTML for people. One file per noun; the manners they share stand beside them."""

from flask import Flask
from htmx_flask import Htmx

from maild.web import access, assets, filters, headers, home, logs, messages, overview, unsubscribes


def register(app: Flask) -> None:
    """Add every page to the application, with the headers, filters and files that they need."""
    Htmx(app)
    assets.register(app)
    filters.register(app)
    app.before_request(access.guard)
    app.after_request(headers.add)
    for noun in (home, overview, logs, messages, unsubscribes):
        app.register_blueprint(noun.blueprint)
