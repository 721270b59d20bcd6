"""POST /v1/contacts with `double_opt_in`: the owner of the address is asked first."""

import pytest

from maild.domain.contact import ContactStatus
from maild.models import Contact, Message

PATH = "/v1/contacts"
ADDRESS = "ann@example.org"


@pytest.fixture
def sign_up(api):
    def send(**body):
        return api("POST", PATH, key="operator", json={"email": ADDRESS, **body})

    return send


def test_a_new_contact_is_pending_and_asked(sign_up):
    response = sign_up(double_opt_in=True, topics=["news"])
    assert response.status_code == 201
    answer = response.get_json()
    message = Message.get()
    assert (answer["status"], answer["standing"]["state"]) == ("pending", "pending")
    assert answer["confirmation"] == {
        "asked": True, "message_id": str(message.id), "detail": None,
    }  # fmt: skip
    assert message.to_email == ADDRESS


def test_again_too_soon_is_no_error_and_no_mail(sign_up):
    sign_up(double_opt_in=True)
    response = sign_up(double_opt_in=True, name="Ann")
    assert response.status_code == 200
    answer = response.get_json()
    assert (answer["status"], answer["name"]) == ("pending", "Ann")
    assert not answer["confirmation"]["asked"]
    assert "within the hour" in answer["confirmation"]["detail"]
    assert Message.select().count() == 1


def test_who_is_active_stays_so_and_is_not_asked(sign_up):
    sign_up()
    answer = sign_up(double_opt_in=True).get_json()
    assert (answer["status"], answer["confirmation"]["asked"]) == ("active", False)
    assert not Message.select().exists()


def test_what_no_link_did_is_no_reason_to_ask(sign_up, api):
    sign_up()
    api("POST", "/v1/unsubscribes", json={"email": ADDRESS, "stream": "marketing"})
    answer = sign_up(double_opt_in=True).get_json()
    assert not answer["confirmation"]["asked"]  # the API has recorded it, and no link undoes that


def test_who_is_suppressed_is_kept_and_not_asked(sign_up, api):
    api("POST", "/v1/suppressions", json={"email": ADDRESS, "reason": "x"})
    answer = sign_up(double_opt_in=True).get_json()
    assert (answer["status"], answer["standing"]["suppressed"]) == ("pending", True)
    assert "not asked" in answer["confirmation"]["detail"]
    assert not Message.select().exists()


def test_without_it_nothing_is_said_of_it(sign_up):
    answer = sign_up().get_json()
    assert (answer["status"], answer["confirmation"]) == ("active", None)
    assert Contact.get().status is ContactStatus.ACTIVE
    assert not Message.select().exists()


@pytest.mark.parametrize("value", ["yes", 1, None, []])
def test_it_is_true_or_false(sign_up, refused, value):
    refused(sign_up(double_opt_in=value), 422, "invalid_fields", "double_opt_in")
    assert not Contact.select().exists()
