"""The WSGI application: `granian --interface wsgi app:app`."""

from maild.factory import create_app

app = create_app()
