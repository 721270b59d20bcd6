"""The inbox's process: an SMTP server that accepts everything, and its pages in a browser.

    python -m maild.local.inbox --smtp HOST:PORT --web HOST:PORT --store FILE [--report-to URL]

In charge of starting both, and of stopping at SIGTERM. `inbox_smtp.py` receives messages,
`inbox_web.py` shows them. With --report-to it is the sandbox of the maild at that address, which
`inbox_reports.py` tells what became of its mail.
"""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from maild import setting_kinds
from maild.config import Addr
from maild.errors import ConfigError
from maild.local import inbox_smtp, inbox_web, ports
from maild.local.inbox_reports import Reporter


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or Ctrl-C. Returns the exit code: 1 where a port is taken.

    Port 0 is any free port; the line that says that the inbox is ready has the real ones.
    """
    parser = argparse.ArgumentParser(prog="python -m maild.local.inbox", description=__doc__)
    parser.add_argument("--smtp", type=_addr, required=True, metavar="HOST:PORT")
    parser.add_argument("--web", type=_addr, required=True, metavar="HOST:PORT")
    parser.add_argument("--store", type=Path, required=True, metavar="FILE")
    parser.add_argument("--report-to", type=_url, metavar="URL")
    options = parser.parse_args(argv)
    os.umask(0o077)  # mail is for nobody else on this machine to read
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd's own, a line per command
    try:
        smtp = ports.listen(options.smtp, setting="INBOX_SMTP_ADDR")
        web = ports.listen(options.web, setting="INBOX_WEB_ADDR")
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    asyncio.run(_serve(smtp, web, options.store, options.report_to))
    return 0


async def _serve(
    smtp: socket.socket, web: socket.socket, path: Path, report_to: str | None
) -> None:
    smtp_addr, web_addr = Addr(*smtp.getsockname()[:2]), Addr(*web.getsockname()[:2])
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    mails = inbox_smtp.GroupCommit(path)  # makes the file, which the pages then find
    greylisted: set[tuple[str, str]] = set()
    reporter = Reporter(report_to) if report_to else None
    server = await loop.create_server(
        lambda: inbox_smtp.make_protocol(mails, greylisted, reporter), sock=smtp
    )
    app = inbox_web.create_app(path, smtp_addr=smtp_addr, web_addr=web_addr)
    pages = inbox_web.make_server(app, web)
    thread = threading.Thread(target=pages.serve_forever, kwargs={"poll_interval": 0.1})
    thread.start()
    print(f"inbox ready: SMTP on {smtp_addr}, pages on http://{web_addr}/", flush=True)
    await stop.wait()
    server.close()
    await asyncio.to_thread(pages.shutdown)
    thread.join()
    if reporter is not None:
        await reporter.close()
    await mails.close()


def _addr(text: str) -> Addr:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise argparse.ArgumentTypeError("must be host:port")
    return Addr(host.strip("[]"), int(port))


def _url(text: str) -> str:
    try:
        return setting_kinds.public_url(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    sys.exit(main())
