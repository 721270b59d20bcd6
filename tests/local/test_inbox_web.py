"""The inbox by HTTP: Mailpit's read API, and pages that show hostile mail as text."""

import re

import pytest

ATTACK = b"""From: "<script>alert(1)</script>" <shop@example.com>\r
To: ann@example.com\r
Subject: <img src=x onerror=alert(2)>\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=x\r
\r
--x\r
Content-Type: text/plain\r
\r
</pre><script>alert(3)</script>\r
--x\r
Content-Type: text/html\r
\r
<script>alert(4)</script><p>Hello</p>\r
--x\r
Content-Type: text/html\r
Content-Disposition: attachment; filename="<b>.html"\r
\r
<script>alert(5)</script>\r
--x--\r
"""


@pytest.fixture
def message_id(inbox) -> str:
    inbox.send(ATTACK)
    return inbox.messages()[0]["ID"]


def send_many(inbox, count: int) -> None:
    with inbox.smtp() as client:
        for number in range(count):
            client.sendmail("a@example.com", ["b@example.com"], b"Subject: %d\r\n\r\nx" % number)


def test_the_list_is_newest_first_and_paged(inbox):
    send_many(inbox, 5)
    page = inbox.get("/api/v1/messages?start=1&limit=2").json
    assert (page["total"], page["start"], page["count"]) == (5, 1, 2)
    assert [message["Subject"] for message in page["messages"]] == ["3", "2"]


def test_a_message_in_the_list_has_mailpits_fields(inbox, message_id):
    [message] = inbox.messages()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", message.pop("Created"))
    assert message == {
        "ID": message_id,
        "MessageID": "",
        "From": {"Name": "<script>alert(1)</script>", "Address": "shop@example.com"},
        "To": [{"Name": "", "Address": "ann@example.com"}],
        "Cc": [],
        "Bcc": [],
        "ReplyTo": [],
        "Subject": "<img src=x onerror=alert(2)>",
        "Size": len(ATTACK),
        "Snippet": "</pre><script>alert(3)</script>",
        "Attachments": 1,
    }


def test_one_message_has_texts_headers_and_files(inbox, message_id):
    message = inbox.get(f"/api/v1/message/{message_id}").json
    assert message["Text"].strip() == "</pre><script>alert(3)</script>"
    assert message["HTML"].strip() == "<script>alert(4)</script><p>Hello</p>"
    assert message["Date"] == message["Created"]
    assert message["Headers"]["To"] == ["ann@example.com"]
    assert message["Inline"] == []
    [attachment] = message["Attachments"]
    assert attachment["FileName"] == "<b>.html"
    assert inbox.get(f"/api/v1/message/{message_id}/headers").json == message["Headers"]


def test_the_raw_message_is_plain_text(inbox, message_id):
    answer = inbox.get(f"/api/v1/message/{message_id}/raw")
    assert answer.body == ATTACK
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_file_is_always_a_download(inbox, message_id):
    answer = inbox.get(f"/api/v1/message/{message_id}/part/2")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert b"alert(5)" in answer.body
    assert inbox.get(f"/api/v1/message/{message_id}/part/99").status == 404


@pytest.mark.parametrize("path", ["/", "/message/{}"])
def test_what_a_message_contains_is_text_on_the_pages(inbox, message_id, path):
    page = inbox.get(path.format(message_id))
    assert page.status == 200
    assert "<script" not in page.text
    assert "<img" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "unsafe-inline" not in page.headers["Content-Security-Policy"]


def test_links_in_the_text_can_be_clicked(inbox):
    mail = b'Subject: x\r\n\r\nSee (https://a.example/x?b=1&c=2). Or http://"><script>.\r\n'
    inbox.send(mail)
    page = inbox.get(f"/message/{inbox.messages()[0]['ID']}")
    [link] = re.findall(r"<a [^>]*noreferrer[^>]*>[^<]*</a>", page.text)
    address = "https://a.example/x?b=1&amp;c=2"
    assert link == f'<a href="{address}" rel="noreferrer nofollow">{address}</a>'
    assert "<script" not in page.text


def test_html_is_shown_in_a_frame_that_may_do_nothing(inbox, message_id):
    assert 'sandbox=""' in inbox.get(f"/message/{message_id}").text
    answer = inbox.get(f"/message/{message_id}/html")
    rules = answer.headers["Content-Security-Policy"].split("; ")
    assert "sandbox" in rules
    assert "default-src 'none'" in rules
    assert not any(rule.startswith("script-src") for rule in rules)


def test_messages_are_deleted_by_id_or_all_at_once(inbox):
    send_many(inbox, 4)
    newest, *_, oldest = [message["ID"] for message in inbox.messages()]
    body = {"IDs": [newest, oldest, "123456789"]}
    assert inbox.ask("DELETE", "/api/v1/messages", body).text == "ok"
    assert [m["Subject"] for m in inbox.messages()] == ["2", "1"]
    assert inbox.get("/api/v1/messages").json["total"] == 2
    assert inbox.ask("DELETE", "/api/v1/messages").status == 200
    assert inbox.get("/api/v1/messages").json["total"] == 0


@pytest.mark.parametrize("body", [["1"], {"IDs": "1"}, {"IDs": [1]}, {"IDs": ["x"]}, "x"])
def test_an_unclear_delete_deletes_nothing(inbox, body):
    send_many(inbox, 1)
    answer = inbox.ask("DELETE", "/api/v1/messages", body)
    assert answer.status == 400
    assert answer.json["Error"]
    assert len(inbox.messages()) == 1


def test_the_button_deletes_everything(inbox):
    send_many(inbox, 2)
    answer = inbox.ask("POST", "/delete-all", **{"Sec-Fetch-Site": "same-origin"})
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert inbox.messages() == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
)
def test_another_site_deletes_nothing(inbox, headers):
    send_many(inbox, 1)
    assert inbox.ask("POST", "/delete-all", **headers).status == 403
    assert inbox.ask("DELETE", "/api/v1/messages", **headers).status == 403
    assert len(inbox.messages()) == 1


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8025", "127.0.0.1.evil.example", ""]
)
def test_a_name_that_is_not_localhost_is_refused(inbox, host):
    assert inbox.get("/api/v1/messages", Host=host).status == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8025", "127.0.0.1:1", "[::1]:8025"])
def test_names_of_this_machine_are_answered(inbox, host):
    assert inbox.get("/api/v1/messages", Host=host).status == 200


def test_the_list_says_how_to_begin_and_refreshes_itself(inbox):
    page = inbox.get("/").text
    assert "No message yet" in page
    assert 'http-equiv="refresh"' in page
    assert 'http-equiv="refresh"' not in inbox.get("/?live=off").text


def test_the_list_has_pages(inbox):
    send_many(inbox, 51)
    first, second = inbox.get("/").text, inbox.get("/?start=50").text
    assert 'href="/?start=50"' in first
    assert 'rel="prev" href="/"' in second
    assert 'http-equiv="refresh"' not in second
    assert "Nothing this far back" in inbox.get("/?start=500").text


def test_the_help_explains_every_address(inbox):
    page = inbox.get("/help").text
    for name in ("tempfail", "permfail", "busy-421", "drop-before-dot", "drop-after-dot"):
        assert f"<code>{name}@example.com</code>" in page
    assert "<code>451 4.3.0</code>" in page


@pytest.mark.parametrize(
    "path",
    [
        "/message/999999",
        "/message/999999/html",
        "/api/v1/message/999999",
        "/api/v1/message/999999/raw",
        "/api/v1/message/99999999999999999999999",
        "/api/v1/message/x",
        "/nothing",
    ],
)
def test_what_is_not_there_is_404(inbox, path):
    answer = inbox.get(path)
    assert answer.status == 404
    assert "Content-Security-Policy" in answer.headers


@pytest.mark.parametrize("query", ["start=-1", "start=x", "limit=x", "limit=99999999999999999999"])
def test_an_odd_page_falls_back(inbox, query):
    send_many(inbox, 1)
    assert inbox.get(f"/api/v1/messages?{query}").json["count"] == 1


def test_the_style_is_a_file(inbox):
    answer = inbox.get("/static/css/inbox.css")
    assert answer.headers["Content-Type"].startswith("text/css")
