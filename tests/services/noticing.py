"""What the tests of notifications share: a server that writes down what it is told, channels, and
incidents.
"""

import base64
import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network

import pytest

from maild.domain.actor import Actor
from maild.domain.incident import IncidentKind, Severity
from maild.domain.notification import OF_INCIDENTS, Occasion
from maild.services import incident_changes, notification_channels, notifications
from maild.services.notification_channels import NewChannel
from tests.conftest import WORKSPACE_A

ANN = Actor("ann@a.example")


class Hook:
    """A server on the loopback: answers as `answers` says in turn, then with 200."""

    def __init__(self):
        self.requests = []
        self.answers = []
        self.release = threading.Event()
        self.release.set()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.requests.append((self.path, dict(self.headers), body))
                hook.release.wait(20)
                status, headers, text = hook.answers.pop(0) if hook.answers else (200, {}, "ok")
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                """Nothing on the screen."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook/abcd"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def hook(use_settings):
    """A server that a workspace may name."""
    use_settings(allowed_private_networks=(ip_network("127.0.0.0/8"),))
    server = Hook()
    yield server
    server.close()


def verify(secret, headers, body):
    """What a request says, by the description of Standard Webhooks; fails where it is not signed
    with this secret.
    """
    known = {name.lower(): value for name, value in headers.items()}
    signed = b".".join([known["webhook-id"].encode(), known["webhook-timestamp"].encode(), body])
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert f"v1,{expected}" in known["webhook-signature"].split(" ")
    return json.loads(body)


def add_channel(target, *, name="Pager", kind="webhook", workspace_id=WORKSPACE_A, **fields):
    """A channel, and what it signs with."""
    values = {"min_severity": "minor", "occasions": OF_INCIDENTS, **fields}
    new = NewChannel(name=name, kind=kind, target=target, **values)
    return notification_channels.add(workspace_id, new, by=ANN)


def open_incident(title="Gmail refuses mail", *, workspace_id=WORKSPACE_A, is_told=True, **fields):
    """An incident, of which the channels are told."""
    values = {"kind": IncidentKind.DELIVERY, "severity": Severity.MAJOR, **fields}
    incident = incident_changes.start(workspace_id, title=title, **values)
    if is_told:
        notifications.tell(incident, Occasion.OPENED)
    return incident
