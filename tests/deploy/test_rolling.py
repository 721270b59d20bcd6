"""Two web servers behind nginx restart one after the other, while mail comes in: nobody notices."""

import subprocess
import threading
from collections import Counter
from pathlib import Path

import pytest

from maild.config import Settings
from maild.local.program import kill_group
from maild.models import Message
from tests.conftest import OPERATOR_KEY, free_ports
from tests.crash.rig import wait_until
from tests.deploy import house, proxies
from tests.deploy.proxies import NGINX, Proxy

SENDERS = 3
PAUSE_SECONDS = 0.01
"""Between two requests of a sender, so that a server that starts gets its share of the machine."""
GRACE_SECONDS = 30
BETWEEN = 20
"""So many requests lie between two steps, at least."""


class Senders:
    """Applications that submit one message after the other, and never send one again."""

    def __init__(self, proxy: Proxy) -> None:
        self.answers: Counter[str] = Counter()
        self._proxy = proxy
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(number,)) for number in range(SENDERS)
        ]

    def __enter__(self) -> "Senders":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self) -> None:
        goal = self.answers.total() + BETWEEN
        wait_until(lambda: self.answers.total() >= goal, "requests are answered")

    def _send(self, number: int) -> None:
        body = {
            "from_email": "shop@example.com",
            "to_email": f"ann{number}@example.org",
            "subject": "Hello",
            "body_text": "Hello.",
        }
        while not self._stopping.wait(PAUSE_SECONDS):
            try:
                status, *_ = self._proxy.request(
                    "POST", "/v1/messages", body, {"X-API-Key": OPERATOR_KEY}
                )
            except Exception as error:
                self.answers[type(error).__name__] += 1
            else:
                self.answers[str(status)] += 1


@pytest.mark.long
@pytest.mark.crash
def test_no_request_fails(database: None, session_settings: Settings, tmp_path: Path) -> None:
    ports = free_ports(2)
    upstream = (NGINX / "upstream.conf").read_text()
    for written, port in zip(("8081", "8082"), ports, strict=True):
        upstream = upstream.replace(written, str(port))
    proxy = Proxy(tmp_path, upstream)
    webs = {port: proxies.start_web(port, session_settings) for port in ports}
    nginx = subprocess.Popen(proxy.command(), start_new_session=True)
    try:
        for port in ports:
            wait_until(lambda port=port: proxies.answers(port), "a web server answers")
        wait_until((tmp_path / "pid").exists, "nginx runs")
        with Senders(proxy) as senders:
            for port in ports:
                senders.wait_for_more()
                assert house.stop(webs[port], GRACE_SECONDS) == 0
                senders.wait_for_more()
                webs[port] = proxies.start_web(port, session_settings)
                wait_until(lambda port=port: proxies.answers(port), "a web server answers")
            senders.wait_for_more()
        assert set(senders.answers) == {"201"}
        assert Message.select().count() == senders.answers["201"]
    finally:
        for process in (nginx, *webs.values()):
            kill_group(process)
            process.wait()
