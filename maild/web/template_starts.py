"""Where a new template may start: three small mails, made for this, and an empty page.

Each passes the checks as it is. What stands between braces is for the one who writes: a merge field
with its default shows how a gap is left, and is easily taken out.
"""

from dataclasses import dataclass

from maild.domain.template import TemplateFormat


@dataclass(frozen=True, slots=True)
class Start:
    """`title` and `text` are for the list; the rest is what the composer is filled with."""

    key: str
    title: str
    text: str
    name: str
    format: TemplateFormat
    subject: str = ""
    preheader: str = ""
    source: str = ""
    source_text: str = ""


_NOTE = """\
Hello {{ contact.name | default: "there" }},

thank you for writing to us. Somebody reads every letter here, and you
have an answer within two working days.

If it is urgent, just answer to this mail: it reaches the same people.

Kind regards
Your team

--
Write to us and we stop: {{ unsubscribe_url }}
"""

_LETTER = """\
<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>A letter</title>
  <style>
    body { margin: 0; padding: 24px 16px; background: #ffffff; color: #1d2430; }
    .letter { max-width: 560px; margin: 0 auto; font: 16px/1.5 Helvetica, Arial, sans-serif; }
    h1 { margin: 0 0 16px; font-size: 24px; line-height: 1.25; }
    p { margin: 0 0 16px; }
    a { color: #2c4bc0; }
    .button { display: inline-block; padding: 10px 20px; border-radius: 6px;
      background: #2c4bc0; color: #ffffff; text-decoration: none; }
    .foot { margin-top: 32px; color: #5a6473; font-size: 14px; }
    @media (prefers-color-scheme: dark) {
      body { background: #14181f !important; color: #e6e9ef !important; }
      a { color: #a9baff !important; }
      .button { background: #a9baff !important; color: #14181f !important; }
      .foot { color: #a3acba !important; }
    }
  </style>
</head>
<body>
  <div class="letter">
    <h1>Welcome, {{ contact.name | default: "and thank you" }}</h1>
    <p>Your account is ready. With it you see your orders, and change what we
      know of you.</p>
    <p><a class="button" href="https://www.example.com/account">Open your account</a></p>
    <p>If something is not as it should be, just answer to this mail.</p>
    <p>Kind regards<br>Your team</p>
    <p class="foot">You get this letter because you made an account with us.
      {% if unsubscribe_url %}<br><a href="{{ unsubscribe_url }}">Unsubscribe</a>{% endif %}</p>
  </div>
</body>
</html>
"""

_NEWSLETTER = """\
<mjml lang="en">
  <mj-head>
    <mj-title>News of the month</mj-title>
    <mj-attributes>
      <mj-all font-family="Helvetica, Arial, sans-serif" />
      <mj-text font-size="16px" line-height="1.5" color="#1d2430" padding="8px 24px" />
      <mj-button background-color="#2c4bc0" border-radius="6px" font-size="16px" align="left" />
    </mj-attributes>
  </mj-head>
  <mj-body background-color="#eef0f4">
    <mj-section background-color="#2c4bc0" padding="16px 0">
      <mj-column>
        <mj-text color="#ffffff" font-size="20px" font-weight="bold">News of the month</mj-text>
      </mj-column>
    </mj-section>
    <mj-section background-color="#ffffff" padding="16px 0">
      <mj-column>
        <mj-text>Hello {{ contact.name | default: "there" }},</mj-text>
        <mj-text>this is what is new. One thing first, the rest below it, and all of it
          short enough for a cup of tea.</mj-text>
        <mj-text font-size="20px" font-weight="bold" padding-top="16px">The first thing</mj-text>
        <mj-text>Say here what it is and what is in it for your reader, in two or three
          sentences.</mj-text>
        <mj-button href="https://www.example.com/news" padding="8px 24px">Read on</mj-button>
      </mj-column>
    </mj-section>
    <mj-section background-color="#ffffff" padding="0 0 16px">
      <mj-column>
        <mj-text font-size="18px" font-weight="bold">On the left</mj-text>
        <mj-text>Two columns, which stand below each other on a phone.</mj-text>
      </mj-column>
      <mj-column>
        <mj-text font-size="18px" font-weight="bold">On the right</mj-text>
        <mj-text>Take one away, and the other has the whole width.</mj-text>
      </mj-column>
    </mj-section>
    <mj-section padding="8px 0 24px">
      <mj-column>
        <mj-text font-size="14px" color="#4b5462">You get this because you asked for our news.
          <a href="{{ unsubscribe_url }}" style="color: #2c4bc0">Unsubscribe</a></mj-text>
      </mj-column>
    </mj-section>
  </mj-body>
</mjml>
"""

EMPTY = Start(
    key="empty",
    title="An empty page",
    text="You have the source already, and paste it.",
    name="",
    format=TemplateFormat.HTML,
)
STARTS: dict[str, Start] = {
    start.key: start
    for start in (
        Start(
            key="text",
            title="Plain text",
            text="A short answer, as people write them. Arrives everywhere.",
            name="A plain answer",
            format=TemplateFormat.TEXT,
            subject="We have your message",
            source_text=_NOTE,
        ),
        Start(
            key="letter",
            title="A simple letter",
            text="HTML with one button, for mail about an account or an order.",
            name="A simple letter",
            format=TemplateFormat.HTML,
            subject="Welcome",
            preheader="Your account is ready.",
            source=_LETTER,
        ),
        Start(
            key="newsletter",
            title="A newsletter",
            text="MJML: columns that fold on a phone, without tables written by hand.",
            name="A newsletter",
            format=TemplateFormat.MJML,
            subject="News of the month",
            preheader="One thing first, and the rest below it.",
            source=_NEWSLETTER,
        ),
        EMPTY,
    )
}
"""By the word in the address of the page."""
