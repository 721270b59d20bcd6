"""The shop's readers, and two campaigns to them, through the API: one that goes out, and the draft
of the next.
"""

from datetime import timedelta
from random import Random
from typing import Any

from maild import clock
from tools.demo import content
from tools.demo.cast import Cast
from tools.demo.content import Person
from tools.demo.stack import Http

READERS, FEW_READERS = 400, 60
"""So many contacts there are, and so many where there is no time."""
BATCH = 200
SOURCES = ("checkout", "website form", "fair in Nordhafen")
PLANS = ("reader", "collector", "school")
LETTER = """<mjml>
  <mj-head><mj-preview>New maps, an old almanac, and ink.</mj-preview></mj-head>
  <mj-body background-color="#f2f0eb">
    <mj-section background-color="#ffffff">
      <mj-column>
        <mj-text font-size="24px" font-family="Georgia, serif">The harbour in autumn</mj-text>
        <mj-text font-size="16px" line-height="1.5">Hello {{ contact.name | default: "reader" }},
          the almanac for next year is printed.
          {% if contact.plan == "collector" %}Twenty numbered copies are kept for collectors.
          {% endif %}</mj-text>
        <mj-button background-color="#1f4e5f" href="https://paperboat.example/almanac">
          Look inside</mj-button>
        <mj-text font-size="12px" color="#666666">You get this because you asked for it.
          <a href="{{ unsubscribe_url }}">No more of it</a></mj-text>
      </mj-column>
    </mj-section>
  </mj-body>
</mjml>
"""


class Readers:
    """Whoever writes the newsletter, with an operator's key."""

    def __init__(self, http: Http, cast: Cast) -> None:
        self._http = http
        self._cast = cast

    def gather(self, rng: Random, count: int) -> None:
        """Contacts with what is known of them, two topics, a list and a segment."""
        for name, label, words in (
            (content.LETTER, "The weekly letter", "What we read, and what is new. On Fridays."),
            (content.ARRIVALS, "New arrivals", "A line when something has come in."),
        ):
            body = {"name": name, "label": label, "description": words}
            self._post("/v1/topics", body)
        people = content.make_customers(rng, count)
        for at in range(0, count, BATCH):
            some = [_contact(rng, one) for one in people[at : at + BATCH]]
            self._post("/v1/contacts/batch", {"contacts": some})
        self._list_id = self._post("/v1/audiences", {"name": "Readers"})["id"]
        for at in range(0, count, BATCH):
            emails = [one.email for one in people[at : at + BATCH]]
            on_list = {"audience_id": self._list_id, "emails": emails}
            self._post("/v1/audiences/members", on_list)
        rules = {
            "all": [
                {"field": "attributes.plan", "op": "equals", "value": "collector"},
                {"not": {"field": "last_opened_at", "op": "in_last_days", "value": 30}},
            ]
        }
        segment = {"name": "Collectors who have not opened lately", "rules": rules}
        self._segment_id = self._post("/v1/segments", segment)["id"]

    def write(self) -> None:
        """A template, a campaign that begins now, and the draft of another."""
        template = {
            "name": "Autumn letter",
            "format": "mjml",
            "subject": "The almanac is here, {{ contact.name | default: 'reader' }}",
            "source": LETTER,
        }
        template_id = self._post("/v1/templates", template)["template"]["id"]
        common = {
            "template_id": template_id,
            "from_email": f"letters@{content.DOMAIN}",
            "from_name": content.SHOP,
            "topic": content.LETTER,
        }
        autumn = self._post(
            "/v1/campaigns",
            {
                **common,
                "name": "Autumn letter",
                "audience_kind": "list",
                "audience_id": self._list_id,
            },
        )
        path = f"/v1/campaigns/{autumn['id']}"
        self._post(f"{path}/schedule", {"version": autumn["version"], "now": True})
        winter = {"name": "A word to collectors", "audience_kind": "segment"}
        self._post("/v1/campaigns", {**common, **winter, "segment_id": self._segment_id})

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._http.ask("POST", path, body, key=self._cast.ops_key)


def _contact(rng: Random, person: Person) -> dict[str, Any]:
    at = clock.now() - timedelta(days=rng.randrange(1, 700))
    return {
        "email": person.email,
        "name": person.name,
        "attributes": {"plan": rng.choice(PLANS), "orders": rng.randrange(12)},
        "topics": [content.LETTER, *([content.ARRIVALS] if rng.random() < 0.4 else [])],
        "consent": {"source": rng.choice(SOURCES), "at": at.isoformat()},
    }
