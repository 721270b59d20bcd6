"""nginx with the files of deploy/, and web servers behind it as a deployment starts them."""

import http.client
import json
import os
import re
import ssl
import subprocess
import sys
from pathlib import Path

from maild.config import Settings, child_environment
from tests.conftest import ADMIN_KEY, OPERATOR_KEY, free_ports
from tests.deploy import recipes
from tests.deploy.recipes import DEPLOY, ROOT

NGINX = DEPLOY / "nginx"
CALLER = "127.0.0.2"


class Proxy:
    """nginx with the files of deploy/, on other ports and with a certificate of its own."""

    def __init__(self, folder: Path, upstream: str) -> None:
        self.folder = folder
        self.plain, self.tls = free_ports(2)
        self.program = recipes.need("nginx", "apt-get install nginx-light")
        made = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=proxy")
        where = ("-keyout", folder / "key", "-out", folder / "chain")
        subprocess.run(["openssl", *made, *where], check=True, capture_output=True)
        text = (NGINX / "maild.conf").read_text()
        text = re.sub(r".*listen \[::\].*\n", "", text)
        for old, new in {
            "listen 80;": f"listen 127.0.0.1:{self.plain};",
            "listen 443 ": f"listen 127.0.0.1:{self.tls} ",
            "/etc/letsencrypt/live/mail.example.com/fullchain.pem": f"{folder}/chain",
            "/etc/letsencrypt/live/mail.example.com/privkey.pem": f"{folder}/key",
            "/var/log/nginx/access.log": f"{folder}/access.log",
        }.items():
            assert old in text
            text = text.replace(old, new)
        (folder / "maild.conf").write_text(text)
        (folder / "upstream.conf").write_text(upstream)
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(
            f"{user} daemon off; pid {folder}/pid; error_log {folder}/error.log info;\n"
            f"events {{}}\nhttp {{ {temporary} include {folder}/upstream.conf;"
            f" include {folder}/maild.conf; }}\n"
        )

    def command(self, *words: str) -> list[str]:
        return [self.program, "-p", str(self.folder), "-c", f"{self.folder}/nginx.conf", *words]

    def request(
        self, method: str, path: str, body: object = None, given: dict[str, str] | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """One request as from another machine, CALLER."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1",
            self.tls,
            timeout=30,
            source_address=(CALLER, 0),
            context=ssl._create_unverified_context(),
        )
        return ask(connection, method, path, body, given)

    def request_plain(self, method: str, path: str) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.plain, timeout=30)
        return ask(connection, method, path, None, None)

    def logs(self) -> str:
        return "".join((self.folder / f"{name}.log").read_text() for name in ("access", "error"))


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: object,
    given: dict[str, str] | None,
) -> tuple[int, http.client.HTTPMessage, bytes]:
    try:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection.request(method, path, data, {"Content-Type": "application/json"} | (given or {}))
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def start_web(port: int, settings: Settings) -> subprocess.Popen[bytes]:
    """A server as `maild-web@PORT` starts it, which believes a proxy on this machine."""
    env = child_environment(
        POSTGRES_DSN=settings.postgres_dsn,
        REDIS_URL=settings.redis_url,
        ADMIN_API_KEY=ADMIN_KEY,
        OPERATOR_API_KEY=OPERATOR_KEY,
        RATE_LIMIT_WORKSPACE_PER_HOUR="100000000",
        RATE_LIMIT_DOMAIN_PER_HOUR="100000000",
        TRUSTED_PROXIES="127.0.0.1",
        PUBLIC_URL="https://mail.example.com",
        MAILD_HOME="/nonexistent",
        GRANIAN_WORKERS="1",
    )
    unit = recipes.unit_service(f"maild-web@{port}.service", credentials=Path("/nonexistent"))
    command = [sys.executable, "-m", "granian", *unit.argv[1:]]
    return subprocess.Popen(command, cwd=ROOT, env=env, start_new_session=True)


def answers(port: int) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        return ask(connection, "GET", "/healthz", None, None)[0] == 200
    except (OSError, http.client.HTTPException):
        return False
