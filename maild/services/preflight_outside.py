"""A look at what is outside of the database before a start: Redis, SMTP accounts, the public
address, and the disk. Every wait is bounded.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from maild import clock, config, db, redis_facts
from maild.domain import preflight as judge
from maild.domain.networks import Guard
from maild.domain.preflight import Finding, fail, ok, skipped, warn
from maild.errors import DecryptionError, MaildError
from maild.models import SmtpAccount
from maild.services import smtp_accounts
from maild.transports import https_probe
from maild.transports.lookup import Address, LookupFailed, look_up
from maild.transports.smtp import ProbeReport, Server, Timeouts, probe

PROBE_TIMEOUTS = Timeouts(connect=5.0, banner=8.0, command=8.0)
PROBE_SECONDS = 15.0
"""Of one account, whatever its server does."""
AT_ONCE = 8
ACCOUNTS_MAX = 40
"""So many accounts of workspaces are tried."""
HEALTH_PATH = "/healthz"


def look_at_redis() -> Iterator[Finding]:
    """The server, what it evicts, and what it keeps."""
    try:
        facts = redis_facts.find(config.current().redis_url)
    except MaildError as error:
        yield fail("Redis: server", error.detail, "Start it, and check REDIS_URL.")
        yield skipped("Redis: eviction", "Redis does not answer")
        yield skipped("Redis: persistence", "Redis does not answer")
    else:
        yield from judge.of_redis(facts)


def look_at_default_account() -> Iterator[Finding]:
    """The environment's SMTP account: reached, encrypted and signed in to."""
    server = smtp_accounts.default_server()
    [report] = asyncio.run(_probe_all([server]))
    name = f"SMTP: default ({server.remote})"
    yield _of_report(
        name, report, mend="Check SMTP_HOST, SMTP_PORT, SMTP_SECURITY and the credentials."
    )


def look_at_accounts() -> Iterator[Finding]:
    """The SMTP accounts that workspaces have activated, ACCOUNTS_MAX of them at most. One that does
    not work is its workspace's concern: a warning.
    """
    with db.connection():
        rows = list(
            SmtpAccount.select()
            .where(SmtpAccount.is_active, SmtpAccount.paused_at.is_null())
            .order_by(SmtpAccount.id)
            .limit(ACCOUNTS_MAX + 1)
        )
        servers, names = [], []
        for row in rows[:ACCOUNTS_MAX]:
            name = f"SMTP: workspace {row.workspace_id}, {row.name}"
            try:
                servers.append(smtp_accounts.server_of(row))
                names.append(name)
            except DecryptionError as error:
                yield fail(name, error.detail, "Hold its key in ENCRYPTION_KEYS_OLD.")
    if not rows:
        yield ok("SMTP: accounts of workspaces", "none is active; all take the default")
        return
    reports = asyncio.run(_probe_all(servers))
    for name, report in zip(names, reports, strict=True):
        found = _of_report(name, report, mend="Its workspace has to see to it.")
        yield found if found.level is not judge.Level.FAIL else warn(name, found.found, found.mend)
    if len(rows) > ACCOUNTS_MAX:
        yield skipped(
            "SMTP: accounts of workspaces", f"more than {ACCOUNTS_MAX}: the rest was not tried"
        )


async def _probe_all(servers: Sequence[Server]) -> list[ProbeReport | None]:
    """What came of each; None where it took too long."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(server: Server) -> ProbeReport | None:
        async with turn:
            try:
                async with asyncio.timeout(PROBE_SECONDS):
                    return await probe(server, timeouts=PROBE_TIMEOUTS)
            except TimeoutError:
                return None

    return await asyncio.gather(*map(one, servers))


def _of_report(name: str, report: ProbeReport | None, *, mend: str) -> Finding:
    if report is None:
        return fail(name, f"took longer than {PROBE_SECONDS:.0f} seconds", mend)
    if not report.valid:
        failed = next(step for step in reversed(report.steps) if not step.ok)
        return fail(name, f"{failed.stage.value}: {failed.text}", mend)
    signed_in = "signed in" if report.auth else "reached, without signing in"
    line = report.tls[0] if report.tls else "in the clear"
    if report.certificate is not None:
        found = judge.of_certificate(name, report.certificate.valid_until, now=clock.now())
        if found.level is not judge.Level.OK:
            return found
    return ok(name, f"{signed_in}, {line}")


def look_at_public_url() -> Iterator[Finding]:
    """Whether PUBLIC_URL leads somewhere that everybody reaches, and with a certificate."""
    name, settings = "PUBLIC_URL: DNS", config.current()
    parts = urlsplit(settings.public_url)
    host, is_https = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if is_https else 80)
    bad = fail if settings.is_production else warn
    try:
        addresses = look_up(host, port, guard=None)
    except LookupFailed as error:
        yield bad(name, str(error), f"Add an A or AAAA record for {host}.")
        return
    shown = ", ".join(sorted({str(place[0]) for _, place in addresses})[:4])
    objections = [Guard().objection(ip_address(place[0])) for _, place in addresses]
    if all(objections):
        yield warn(
            name,
            f"{'' if host == shown else f'{host} is '}{shown}: {objections[0]}, which recipients"
            " and providers do not reach",
            "Give it a public address, or let a proxy that has one answer for it.",
        )
    else:
        yield ok(name, f"{host} is {shown}")
    if is_https:
        yield _of_https(host, port, addresses[0], parts.path + HEALTH_PATH)
        yield _of_proxies()


def _of_https(host: str, port: int, address: Address, path: str) -> Finding:
    name = "PUBLIC_URL: TLS"
    try:
        certificate, status = https_probe.probe(host, port, address, path=path)
    except https_probe.NotTrusted as error:
        return warn(name, f"the certificate does not hold: {error}", "Renew it at the proxy.")
    except https_probe.NotReached as error:
        return warn(
            name,
            f"nothing answers at {host}:{port} ({error})",
            "Start the proxy; before the first start, that is as it should be.",
        )
    if certificate is None:
        return ok(name, "it answers")
    found = judge.of_certificate(name, certificate.valid_until, now=clock.now())
    if found.level is judge.Level.OK and status != 200:
        return warn(
            name,
            f"{found.found}; {HEALTH_PATH} answers {status or 'nothing that is HTTP'}",
            "Start maild's web process, and point the proxy to it.",
        )
    return found


def _of_proxies() -> Finding:
    name = "TRUSTED_PROXIES"
    if config.current().trusted_proxies:
        return ok(name, ", ".join(map(str, config.current().trusted_proxies)))
    return warn(
        name,
        "none, though a proxy must be in front: everybody seems to come from its address",
        "Name the proxy's address, such as TRUSTED_PROXIES=127.0.0.1",
    )


def look_at_disk(folders: Sequence[Path]) -> Iterator[Finding]:
    """The room on each disk that maild writes to here: temporary files, and `folders`."""
    seen = set()
    for folder in (Path(tempfile.gettempdir()), *folders):
        there = next(each for each in (folder, *folder.parents) if each.exists())
        device = there.stat().st_dev
        if device not in seen:
            seen.add(device)
            usage = shutil.disk_usage(there)
            yield judge.of_disk(str(there), free_bytes=usage.free, total_bytes=usage.total)
