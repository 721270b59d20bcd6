"""/v1/templates: making, saving, reading, archiving, previewing."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maild.models import Contact, Template, TemplateVersion
from tests.conftest import WORKSPACE_A, WORKSPACE_B

SOURCE = '<p>Hello {{ contact.first_name | default: "there" }}, {{ data.order_no }}</p>'
LETTER = {"name": "Order shipped", "subject": "Order {{ data.order_no }}", "source": SOURCE}


@pytest.fixture
def made(api):
    """A template of workspace A."""
    response = api("POST", "/v1/templates", json=LETTER, key="operator")
    assert response.status_code == 201, response.text
    return response.get_json()


def post(api, verb, status=200, key="operator", **body):
    response = api("POST", f"/v1/templates{verb}", json=body, key=key)
    assert response.status_code == status, response.text
    return response.get_json()


def test_a_template_is_made_with_what_it_comes_to(made):
    assert made["template"]["name"] == "Order shipped"
    assert made["template"]["version"] == made["shown"]["version"] == 1
    assert made["is_new"] is True
    assert SOURCE in made["shown"]["html"]
    assert made["shown"]["body_text"].startswith("Hello {{ contact.first_name")
    assert {"name": "data.order_no", "has_default": False, "line": 1} in made["shown"]["fields"]
    assert "no_unsubscribe_link" in {one["code"] for one in made["findings"]}
    severities = [one["severity"] for one in made["findings"]]
    assert severities == sorted(severities, key=["stop", "warn", "hint"].index)


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"source": "a\n{{ foo }}"}, "source", "line 2, column 4"),
        ({"source": "<script>x</script>"}, "source", "cannot be in a mail"),
        ({"source": ""}, "source", "required"),
        ({"source": "a\0b"}, "source", "NUL"),
        ({"source": "a" * 1_000_001}, "source", "larger"),
        ({"format": "mjml", "source": "<mjml></mjml>"}, "source", "mj-body"),
        ({"format": "docx"}, "format", "should be"),
        ({"subject": "a\r\nBcc: b@example.org"}, "subject", "line break"),
        ({"subject": " "}, "subject", "required"),
        ({"subject": "{{"}, "subject", "not closed"),
        ({"preheader": "a\nb"}, "preheader", "line break"),
        ({"name": ""}, "name", "required"),
        ({"name": "12"}, "name", "number"),
        ({"name": "a\u2028b"}, "name", "line break"),
        ({"name": "x" * 101}, "name", "longer"),
        ({"name": 7}, "name", "string"),
        ({"note": "a\nb"}, "note", "line break"),
        ({"nonsense": 1}, "nonsense", "not a known field"),
    ],
)
def test_what_cannot_be_a_template_is_refused(api, refused, fields, field, says):
    response = api("POST", "/v1/templates", json={**LETTER, **fields}, key="operator")
    document = refused(response, 422, "invalid_fields")
    assert document["errors"][0]["field"] == field
    assert says in document["errors"][0]["message"]
    assert Template.select().count() == 0


def test_a_lone_surrogate_is_refused(api, refused):
    data = '{"name": "a\\ud800", "subject": "s", "source": "a"}'
    response = api("POST", "/v1/templates", data=data, key="operator")
    assert response.status_code in {400, 422}
    assert Template.select().count() == 0


def test_emoji_are_kept(api):
    saved = post(api, "", 201, name="🎉", subject="🎉 {{ data.x }}", source="<p>🎉 é</p>")
    assert saved["template"]["name"] == "🎉"
    assert "🎉 é" in saved["shown"]["html"]


def test_a_save_is_the_next_version(api, made, refused):
    id_ = made["template"]["id"]
    body = {"template_id": id_, "subject": "New", "source": SOURCE, "note": "shorter"}
    saved = post(api, "/save", version=1, **body)
    assert (saved["template"]["version"], saved["shown"]["subject"]) == (2, "New")
    again = post(api, "/save", version=2, **body)
    assert (again["template"]["version"], again["is_new"]) == (2, False)
    stale = api("POST", "/v1/templates/save", json={**body, "version": 1}, key="operator")
    assert "Version 2 was saved meanwhile" in refused(stale, 409, "conflict")["detail"]
    listed = api("GET", f"/v1/templates/{id_}/versions", key="operator").get_json()
    assert [(one["version"], one["note"]) for one in listed["versions"]] == [
        (2, "shorter"),
        (1, None),
    ]
    first = api("GET", f"/v1/templates/{id_}", query={"version": 1}).get_json()
    assert first["shown"]["subject"] == LETTER["subject"]
    back = post(api, "/restore", template_id=id_, restored_version=1, version=2)
    assert (back["template"]["version"], back["shown"]["subject"]) == (3, LETTER["subject"])


def test_the_list_goes_by_pages(api, made):
    for number in range(3):
        post(api, "", 201, **{**LETTER, "name": f"T{number}"})
    page = api("GET", "/v1/templates", query={"limit": 3}).get_json()
    assert [one["name"] for one in page["templates"]] == ["T2", "T1", "T0"]
    rest = api("GET", "/v1/templates", query={"cursor": page["next_cursor"]}).get_json()
    assert [one["name"] for one in rest["templates"]] == ["Order shipped"]
    assert rest["next_cursor"] is None
    found = api("GET", "/v1/templates", query={"q": "ORDER"}).get_json()
    assert [one["subject"] for one in found["templates"]] == [LETTER["subject"]]
    for query in ({"limit": 0}, {"cursor": "x"}, {"archived": "maybe"}, {"nonsense": 1}):
        assert api("GET", "/v1/templates", query=query).status_code == 400


def test_archiving_is_taken_back(api, made, refused):
    id_ = made["template"]["id"]
    archived = api("DELETE", "/v1/templates", json={"template_id": id_}, key="operator").get_json()
    assert archived["status"] == "archived"
    assert api("GET", "/v1/templates").get_json()["count"] == 0
    assert api("GET", "/v1/templates", query={"archived": "true"}).get_json()["count"] == 1
    body = {"template_id": id_, "version": 1, "subject": "s", "source": "a"}
    refused(api("POST", "/v1/templates/save", json=body, key="operator"), 409, "conflict")
    assert post(api, "/bring-back", template_id=id_)["status"] == "in_use"
    assert post(api, "/rename", template_id=id_, name="Other")["name"] == "Other"


def test_a_name_is_had_once(api, made, refused):
    response = api("POST", "/v1/templates", json={**LETTER, "name": "ORDER shipped"})
    refused(response, 409, "conflict")
    post(api, "", 201, key="admin", **{**LETTER, "workspace_id": WORKSPACE_B})


def test_a_preview_is_filled_in_and_stores_nothing(api, made):
    data, contact = {"order_no": "48213"}, {"first_name": "Ann <b>"}
    for named in ({"template": made["template"]["id"]}, {"template": "order SHIPPED"}):
        seen = post(api, "/preview", **named, data=data, contact=contact)
        assert seen["subject"] == "Order 48213"
        assert "Hello Ann &lt;b&gt;, 48213" in seen["html"]
        assert seen["text"] == "Hello Ann <b>, 48213"
        assert seen["missing"] == []
    seen = post(api, "/preview", subject="s", source="<p>{{ contact.x }}</p>")
    assert seen["missing"] == ["contact.x"]
    assert TemplateVersion.select().count() == 1


def test_a_preview_is_as_a_contact_would_get_it(api, made, refused):
    Contact.create(
        workspace_id=WORKSPACE_A,
        email="ann@example.org",
        name="Ann",
        attributes={"first_name": "Annie"},
        created_by="x",
    )
    body = {"template": "Order shipped", "data": {"order_no": 1}}
    seen = post(api, "/preview", **body, contact_email="ANN@example.org")
    assert "Hello Annie" in seen["text"]
    unknown = {**body, "contact_email": "bob@example.org"}
    refused(api("POST", "/v1/templates/preview", json=unknown), 404, "not_found")


@pytest.mark.parametrize(
    "body",
    [
        {"template": 1, "subject": "s"},
        {"version": 1, "subject": "s", "source": "a"},
        {"subject": "s", "source": "a", "contact": {}, "contact_email": "a@example.org"},
        {"subject": "s", "source": "a", "contact_email": "nobody"},
        {"subject": "s", "source": "a", "data": {"x": "a" * 33_000}},
        {"subject": "s", "source": "a", "data": {"x": "a\0"}},
        {"subject": "s", "source": "a", "data": []},
        {"subject": "s", "source": "a", "marketing": "yes"},
        {"subject": "s", "source": "{{"},
        {},
    ],
)
def test_a_preview_of_nonsense_is_refused(api, refused, body):
    refused(api("POST", "/v1/templates/preview", json=body), 422, "invalid_fields")


def test_a_preview_that_takes_too_long_is_refused(api, refused):
    loop = "{% for a in data.l %}" * 4 + "x" + "{% endfor %}" * 4
    body = {"subject": "s", "source": loop, "data": {"l": [1] * 100}}
    document = refused(api("POST", "/v1/templates/preview", json=body), 422, "invalid_fields")
    assert "too often" in document["detail"]


def test_another_workspaces_template_is_not_there(api, made, make_key, refused):
    key, id_ = make_key("admin", workspace_id=WORKSPACE_B), made["template"]["id"]
    for method, path, body in (
        ("GET", f"/v1/templates/{id_}", ...),
        ("GET", f"/v1/templates/{id_}/versions", ...),
        ("POST", "/v1/templates/rename", {"template_id": id_, "name": "x"}),
        ("DELETE", "/v1/templates", {"template_id": id_}),
        ("POST", "/v1/templates/preview", {"template": id_}),
        ("POST", "/v1/templates/preview", {"template": "Order shipped"}),
        ("GET", f"/v1/templates/{2**63}", ...),
    ):
        refused(api(method, path, json=body, key=key), 404, "not_found")
    assert api("GET", "/v1/templates", key=key).get_json()["count"] == 0


def test_who_may_do_what(api, made, viewer_a, sender_key_a, refused):
    id_ = made["template"]["id"]
    assert api("GET", f"/v1/templates/{id_}", key=viewer_a).status_code == 200
    preview = {"template": id_, "data": {"order_no": 1}}
    assert api("POST", "/v1/templates/preview", json=preview, key=viewer_a).status_code == 200
    for key in (viewer_a, sender_key_a):
        refused(api("POST", "/v1/templates", json=LETTER, key=key), 403, "forbidden")
    refused(api("GET", "/v1/templates", key=sender_key_a), 403, "forbidden")
    refused(api("GET", "/v1/templates", key=None), 401, "unauthenticated")


BITS = [
    "<p>",
    "</p>",
    "<table>",
    "<tr>",
    "{{ contact.a }}",
    "{{ data.b | upcase }}",
    "{% if data.c %}",
]
BITS += [
    "{% endif %}",
    "<style>p{color:red}</style>",
    "<mjml>",
    "<mj-body>",
    "</mj-body>",
    "</mjml>",
]
BITS += [
    "<a href='{{ data.u }}'>",
    "<!--",
    "-->",
    "&nbsp;",
    "{{",
    "}}",
    "<",
    '"',
    "\0",
    "😀",
    "\ud800",
]


@given(
    source=st.lists(st.sampled_from(BITS), max_size=20).map("".join),
    format_=st.sampled_from(["html", "mjml"]),
    data=st.dictionaries(st.sampled_from("bcu"), st.none() | st.text() | st.lists(st.integers())),
)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_source_is_previewed_or_refused(api, source, format_, data):
    body = {"subject": "s", "format": format_, "source": source, "data": data}
    response = api("POST", "/v1/templates/preview", json=body)
    assert response.status_code in {200, 400, 422}, response.text
