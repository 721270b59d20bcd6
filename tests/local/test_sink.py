"""The sink as a program: what it accepts, whom it obeys, what it writes down, and its modes."""

import contextlib
import json
import signal
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
RAW = b"Subject: Hello\r\nMessage-ID: <one@example.com>\r\n\r\nIt works.\r\n"
SENDER, ANN = "shop@example.com", "ann@example.com"
ENVELOPE = b"MAIL FROM:<shop@example.com>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n"
PATIENCE_SECONDS = 20.0


class Sink:
    """A running sink."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-m", "maild.local.sink", "--listen", "127.0.0.1:0", *options]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        line = self._read_line()
        assert line.startswith("sink: ready on 127.0.0.1:"), line
        self.port = int(line.rpartition(":")[2])

    def smtp(self) -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS)

    def send(self, recipient: str = ANN, raw: bytes = RAW) -> None:
        with self.smtp() as client:
            client.sendmail(SENDER, [recipient], raw)

    def converse(self, said: bytes) -> list[bytes]:
        """The last line of each reply to all of `said` at once, until the sink hangs up."""
        with self.connect() as client:
            client.sendall(said)
            lines = client.makefile("rb").read().splitlines()
        return [line for line in lines if line[3:4] == b" "]

    def codes(self, said: bytes) -> list[int]:
        return [int(line[:3]) for line in self.converse(said)]

    def counters(self) -> dict[str, int]:
        self.process.send_signal(signal.SIGUSR1)
        return json.loads(self._read_line())

    def stop(self, number: int = signal.SIGTERM) -> dict[str, int]:
        """End it; returns its counters."""
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=PATIENCE_SECONDS)
        assert self.process.returncode == 0, output
        return json.loads(output)

    def kill(self) -> None:
        self.process.kill()
        assert self.process.stdout is not None
        if not self.process.stdout.closed:
            self.process.communicate()

    def _read_line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


Start = Callable[..., Sink]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a sink with these options."""
    with contextlib.ExitStack() as sinks:

        def run(*options: str) -> Sink:
            sink = Sink(*options)
            sinks.callback(sink.kill)
            return sink

        yield run


@pytest.fixture(scope="module")
def plain() -> Iterator[Sink]:
    """A sink without options, for many tests."""
    sink = Sink()
    yield sink
    sink.stop()


def rcpt(sink: Sink, address: str) -> tuple[int, bytes]:
    with sink.smtp() as client:
        client.ehlo()
        client.mail(SENDER)
        return client.rcpt(address)


def test_it_accepts_and_counts(start):
    sink = start()
    sink.send()
    sink.send("bob@example.org")
    rcpt(sink, "permfail@example.com")
    counted = {"messages": 2, "connections": 3, "refused": 1}
    assert sink.counters() == counted
    assert sink.stop() == counted


def test_it_ends_at_ctrl_c(start):
    assert start().stop(signal.SIGINT)["messages"] == 0


def test_it_offers_what_a_sender_may_use(plain):
    with plain.smtp() as client:
        client.ehlo()
        assert client.esmtp_features["size"] == str(25 * 1024 * 1024)
        assert client.esmtp_features["auth"].split() == ["PLAIN", "LOGIN"]
        offered = {"pipelining", "8bitmime", "smtputf8", "enhancedstatuscodes"}
        assert offered <= set(client.esmtp_features)


def test_it_takes_utf8_addresses_the_null_sender_and_quoted_names(plain):
    with plain.smtp() as client:
        client.ehlo()
        options = ["SMTPUTF8", "BODY=8BITMIME", "SIZE=100"]
        client.sendmail("zoë@example.com", ["grüße@example.com"], "é".encode(), options)
        client.sendmail("", ['"a > b"@example.com'], RAW)


def test_messages_may_come_in_one_write(plain):
    before = plain.counters()["messages"]
    said = b"EHLO x\r\n" + 3 * (ENVELOPE + b"..x\r\n.\r\n") + b"QUIT\r\n"
    assert plain.codes(said) == [220, 250, *3 * [250, 250, 354, 250], 221]
    assert plain.counters()["messages"] - before == 3


@pytest.mark.parametrize("size", [1, 3, 7])
def test_messages_may_come_in_pieces(plain, size):
    said = b"EHLO x\r\n" + ENVELOPE + b"a\r\n.b\r\n\r\n.\r\n" + ENVELOPE + b".\r\nQUIT\r\n"
    with plain.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for begin in range(0, len(said), size):
            client.sendall(said[begin : begin + size])
        lines = client.makefile("rb").read().splitlines()
    codes = [line[:3] for line in lines if line[3:4] == b" "]
    assert codes == b"220 250 250 250 354 250 250 250 354 250 221".split()


def test_only_a_dot_between_whole_line_ends_is_final(plain):
    tricks = b"a\n.\n b\r\n.\n c\n.\r\n d\r.\r e\r\n..\r\n"
    assert plain.codes(b"EHLO x\r\n" + ENVELOPE + tricks + b"\r\n.\r\nQUIT\r\n") == [
        *(220, 250, 250, 250, 354, 250, 221)
    ]


def test_a_large_message_is_taken_and_a_larger_one_refused(plain):
    line = b"x" * 998 + b"\r\n"
    with plain.smtp() as client:
        client.ehlo()
        client.sendmail(SENDER, [ANN], 5_000 * line)
        assert client.mail(SENDER, ["SIZE=26214401"])[0] == 552
        client.mail(SENDER)
        client.rcpt(ANN)
        assert client.data(26_300 * line)[0] == 552
        client.sendmail(SENDER, [ANN], RAW)


def test_bad_commands_are_answered_and_do_no_harm(plain):
    said = (
        b"MAIL FROM:<a@example.com>\r\n"  # before EHLO
        b"EHLO x\r\nRCPT TO:<a@example.com>\r\nDATA\r\nNONSENSE\r\n\r\nMAIL\r\nMAIL FROM:a\r\n"
        b"MAIL FROM:<a@example.com> X=1\r\nMAIL FROM:<a@example.com> SIZE=z\r\nAUTH\r\n"
        b"AUTH PLAIN ***\r\nAUTH PLAIN eA==\r\nAUTH LOGIN\r\n*\r\nVRFY a\r\nNOOP\r\n"
        b"MAIL FROM:<a@example.com>\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<>\r\nDATA\r\n"
        b"RSET\r\n" + ENVELOPE + b"x\r\n.\r\nQUIT\r\n"
    )
    assert plain.codes(said) == [
        *(220, 503, 250, 503, 503, 500, 500, 501, 501, 555, 501, 504, 501, 501, 334, 501),
        *(252, 250, 250, 503, 501, 554, 250, 250, 250, 354, 250, 221),
    ]


def test_a_huge_line_is_refused_and_the_next_one_heard(plain):
    huge = b"MAIL FROM:<" + b"a" * 1_000_000 + b">\r\n"
    assert plain.codes(b"EHLO x\r\n" + huge + ENVELOPE + b".\r\nQUIT\r\n") == [
        *(220, 250, 500, 250, 250, 354, 250, 221)
    ]


def test_a_connection_cut_in_the_middle_stores_nothing(plain):
    before = plain.counters()["messages"]
    with plain.connect() as client:
        client.sendall(b"EHLO x\r\n" + ENVELOPE + b"Subject: half\r\n.")
        client.shutdown(socket.SHUT_WR)
        assert b"354 " in client.makefile("rb").read()
    plain.send()
    assert plain.counters()["messages"] - before == 1


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        ("tempfail", 451, b"4.3.0"),
        ("PermFail+7", 550, b"5.1.1"),
        ("throttle", 450, b"try again in 60 seconds"),
        ("authfail", 530, b"5.7.0"),
        ("slowly", 250, b"2.1.5"),
    ],
)
def test_it_obeys_recipients(plain, name, code, text):
    answer = rcpt(plain, f"{name}@example.com")
    assert answer[0] == code
    assert text in answer[1]


def test_greylist_refuses_the_first_try(plain):
    assert rcpt(plain, "greylist@example.com")[0] == 451
    assert rcpt(plain, "greylist@example.com")[0] == 250


def test_busy_says_so_and_hangs_up(plain):
    said = b"EHLO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<busy-421@example.com>\r\n"
    assert plain.converse(said)[-1].startswith(b"421 4.3.2")


def test_slow_waits_and_others_do_not(plain):
    with plain.connect() as slow:
        slow.sendall(b"EHLO x\r\n" + ENVELOPE.replace(b"ann", b"slow+60") + b".\r\nNOOP\r\n")
        replies = slow.makefile("rb")
        while not replies.readline().startswith(b"354 "):
            pass
        plain.send()
        slow.settimeout(0.2)
        with pytest.raises(TimeoutError):
            slow.recv(100)


def test_slow_answers_in_the_end(plain):
    said = ENVELOPE.replace(b"ann", b"slow+1") + b".\r\n" + ENVELOPE + b".\r\nQUIT\r\n"
    assert plain.codes(b"EHLO x\r\n" + said) == [220, 250, *2 * [250, 250, 354, 250], 221]


def test_drop_before_dot_never_lets_it_begin(plain):
    before = plain.counters()["messages"]
    with pytest.raises(smtplib.SMTPServerDisconnected):
        plain.send("drop-before-dot@example.com")
    assert plain.counters()["messages"] == before


def test_drop_after_dot_takes_it_and_says_nothing(plain):
    before = plain.counters()["messages"]
    with pytest.raises(smtplib.SMTPServerDisconnected):
        plain.send("drop-after-dot@example.com")
    assert plain.counters()["messages"] == before + 1


@pytest.mark.parametrize("method", ["auth_plain", "auth_login"])
def test_it_takes_any_login_but_one(plain, method):
    for user, code in [("somebody", 235), ("authfail", 535)]:
        with plain.smtp() as client:
            client.ehlo()
            client.user, client.password = user, "anything"
            mechanism = method.removeprefix("auth_").upper()
            try:
                answer = client.auth(mechanism, getattr(client, method))
            except smtplib.SMTPAuthenticationError as error:
                answer = (error.smtp_code, error.smtp_error)
            assert answer[0] == code


def test_the_ledger_has_the_line_before_the_sender_has_the_250(start, tmp_path):
    ledger = tmp_path / "ledger"
    sink = start("--ledger", str(ledger))
    began_at = time.time()
    with sink.smtp() as client:
        for number in range(20):
            raw = b"Subject: x\r\nmessage-id:\r\n <%d@example.com>\r\n\r\nMessage-ID: <no>\r\n"
            client.sendmail(SENDER, [f"user{number}@example.org"], raw % number)
            # The 250 is here: so is the line.
            at, message_id, recipient = ledger.read_text().splitlines()[-1].split(" ")
            assert (message_id, recipient) == (f"{number}@example.com", f"user{number}@example.org")
            assert began_at - 1 <= float(at) <= time.time() + 1
    assert len(ledger.read_text().splitlines()) == 20


def test_the_ledger_tells_of_each_recipient_and_of_what_was_taken_in_silence(start, tmp_path):
    ledger = tmp_path / "ledger"
    sink = start("--ledger", str(ledger), "--no-fsync")
    with sink.smtp() as client:
        client.sendmail(SENDER, [ANN, "permfail@example.com", "bob@example.com"], b"no id\r\n")
    with pytest.raises(smtplib.SMTPServerDisconnected):
        sink.send("drop-after-dot@example.com")
    with pytest.raises(smtplib.SMTPServerDisconnected):
        sink.send("drop-before-dot@example.com")
    told = [line.split(" ")[1:] for line in ledger.read_text().splitlines()]
    assert told == [
        ["-", ANN],
        ["-", "bob@example.com"],
        ["one@example.com", "drop-after-dot@example.com"],
    ]


def test_a_message_that_cannot_be_written_down_is_not_accepted(start):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    sink = start("--ledger", "/dev/full", "--no-fsync")
    with pytest.raises(smtplib.SMTPDataError) as refused:
        sink.send()
    assert refused.value.smtp_code == 452
    assert sink.stop()["messages"] == 0


def test_several_processes_share_the_port_the_counters_and_the_ledger(start, tmp_path):
    ledger = tmp_path / "ledger"
    sink = start("--processes", "3", "--ledger", str(ledger), "--no-fsync")
    for _ in range(30):
        sink.send()
    assert sink.counters() == {"messages": 30, "connections": 30, "refused": 0}
    assert len(ledger.read_text().splitlines()) == 30
    assert sink.stop()["messages"] == 30


def test_the_end_of_one_process_is_the_end_of_all(start):
    sink = start("--processes", "2")
    [child] = psutil.Process(sink.process.pid).children()
    child.kill()
    assert sink.process.wait(PATIENCE_SECONDS) == 1


def test_a_killed_sink_leaves_no_process(start, eventually):
    sink = start("--processes", "2")
    [child] = psutil.Process(sink.process.pid).children()
    sink.kill()
    eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_a_delay_is_a_longer_line_and_not_a_slower_server(start):
    sink = start("--delay-ms", "300")
    said = b"EHLO x\r\n" + ENVELOPE + b"x\r\n.\r\n" + ENVELOPE + b"y\r\n.\r\nNOOP\r\nQUIT\r\n"
    began_at = time.monotonic()
    assert sink.codes(said) == [220, 250, *2 * [250, 250, 354, 250], 250, 221]
    # Eleven replies, one after the other, would take 3.6 seconds; a late machine is no failure.
    assert time.monotonic() - began_at >= 0.3


@pytest.mark.parametrize("delay", ["0", "100"])
def test_what_was_said_before_a_cut_arrives(start, delay):
    sink = start("--delay-ms", delay)
    dropped = ENVELOPE.replace(b"ann", b"drop-before-dot")
    said = b"EHLO x\r\n" + ENVELOPE + b".\r\n" + dropped
    assert sink.codes(said) == [220, 250, 250, 250, 354, 250, 250, 250]


def test_a_connection_gets_so_many_messages_and_no_more(start):
    sink = start("--max-messages-per-connection", "2")
    said = b"EHLO x\r\n" + 3 * (ENVELOPE + b".\r\n")
    assert sink.codes(said) == [220, 250, *2 * [250, 250, 354, 250], 421]
    sink.send()


@pytest.fixture
def mode(tmp_path: Path) -> Callable[[str], None]:
    """Write the mode file."""

    def write(word: str) -> None:
        (tmp_path / "mode").write_text(word + "\n")

    return write


@pytest.fixture
def moody(start: Start, tmp_path: Path) -> Sink:
    """A sink that follows the file `mode`, which does not exist yet."""
    return start("--mode-file", str(tmp_path / "mode"))


def is_refused(sink: Sink) -> bool:
    try:
        sink.connect().close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("processes", ["1", "2"])
def test_refuse_cuts_who_is_here_and_lets_nobody_in(start, mode, tmp_path, eventually, processes):
    sink = start("--mode-file", str(tmp_path / "mode"), "--processes", processes)
    with sink.connect() as client:
        client.recv(100)
        mode("refuse")
        eventually(lambda: is_refused(sink))
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(100) == b""
    eventually(lambda: is_refused(sink))
    mode("ok")
    eventually(lambda: not is_refused(sink))
    sink.send()


def test_it_may_begin_by_refusing(start, mode, tmp_path, eventually):
    mode("refuse")
    sink = start("--mode-file", str(tmp_path / "mode"))
    assert is_refused(sink)
    (tmp_path / "mode").unlink()
    eventually(lambda: not is_refused(sink))


def test_authfail_demands_a_login_and_takes_none(moody, mode, eventually):
    mode("authfail")

    def answer() -> int:
        with moody.smtp() as client:
            client.ehlo()
            return client.mail(SENDER)[0]

    eventually(lambda: answer() == 530)
    with moody.smtp() as client, pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        client.login("somebody", "anything")
    assert refused.value.smtp_code == 535
    mode("ok")
    eventually(lambda: answer() == 250)


def test_throttle_refuses_every_recipient_in_two_ways(moody, mode, eventually):
    mode("throttle")
    eventually(lambda: rcpt(moody, ANN)[0] != 250)
    answers = {rcpt(moody, ANN) for _ in range(4)}
    assert {code for code, _ in answers} == {421, 450}
    assert any(b"try again in 5 seconds" in text for _, text in answers)


def test_defer_puts_every_recipient_off(moody, mode, eventually):
    mode("defer")
    eventually(lambda: rcpt(moody, ANN)[0] == 451)
    mode("ok")
    eventually(lambda: rcpt(moody, ANN)[0] == 250)


def test_silent_says_nothing_to_old_and_new_connections(moody, mode, eventually):
    def greets() -> bool:
        with moody.connect() as client:
            client.settimeout(0.5)
            try:
                return bool(client.recv(100))
            except TimeoutError:
                return False

    with moody.connect() as client:
        client.recv(100)
        mode("silent")
        eventually(lambda: not greets())
        client.sendall(b"NOOP\r\n")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(100)
        mode("ok")
        eventually(greets)
        client.settimeout(PATIENCE_SECONDS)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(100) == b""


def test_a_mode_that_nobody_knows_changes_nothing(tmp_path):
    (tmp_path / "mode").write_text("sideways")
    command = [sys.executable, "-m", "maild.local.sink", "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(
        [*command, "--mode-file", str(tmp_path / "mode")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "ready" in process.stdout.readline()
    process.terminate()
    _, problems = process.communicate(timeout=PATIENCE_SECONDS)
    assert "holds no mode; known are ok, refuse, authfail, throttle, defer, silent" in problems
    assert process.returncode == 0


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_taken_port_is_named(plain, processes):
    command = [sys.executable, "-m", "maild.local.sink", "--listen", f"127.0.0.1:{plain.port}"]
    done = subprocess.run(
        [*command, "--processes", processes], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"port {plain.port} on 127.0.0.1 is taken" in done.stderr


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--listen", "2525"], "must be host:port"),
        (["--processes", "0"], "must be at least 1"),
        (["--delay-ms", "-1"], "must be a whole number"),
        (["--listen", "127.0.0.1:0", "--ledger", "/nonexistent/ledger"], "No such file"),
    ],
)
def test_wrong_options_are_refused_in_words(options, problem):
    command = [sys.executable, "-m", "maild.local.sink", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in {1, 2}
    assert problem in done.stderr
