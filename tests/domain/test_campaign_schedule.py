"""A time by the clocks of some place, and the moment that it is."""

from datetime import UTC, datetime

import pytest

from maild.domain import campaign_schedule
from maild.domain.campaign_schedule import Moment

AMBIGUOUS = datetime(2027, 10, 31, 2, 30)
GAP = datetime(2027, 3, 28, 2, 30)


def local(text):
    return datetime.fromisoformat(text)


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("shown", "zone", "moment"),
    [
        ("2027-01-31T09:30", "UTC", "2027-01-31T09:30"),
        ("2027-01-31T09:30", "Europe/Vienna", "2027-01-31T08:30"),
        ("2027-07-31T09:30", "Europe/Vienna", "2027-07-31T07:30"),
        ("2027-01-31T09:30", "America/New_York", "2027-01-31T14:30"),
        ("2027-01-31T00:15", "Asia/Kathmandu", "2027-01-30T18:30"),
        ("2027-01-31T09:30", "Pacific/Kiritimati", "2027-01-30T19:30"),
        ("2027-03-28T01:59:59", "Europe/Vienna", "2027-03-28T00:59:59"),
        ("2027-03-28T03:00", "Europe/Vienna", "2027-03-28T01:00"),
        ("2027-10-31T01:59", "Europe/Vienna", "2027-10-30T23:59"),
        ("2027-10-31T03:00", "Europe/Vienna", "2027-10-31T02:00"),
    ],
)
def test_clocks_show_a_time_at_one_moment(shown, zone, moment):
    assert campaign_schedule.find_moment(local(shown), zone) == Moment(utc(moment))
    assert campaign_schedule.local_time(utc(moment), zone) == local(shown)


def test_of_a_time_that_comes_twice_the_first_is_meant_and_it_is_told():
    found = campaign_schedule.find_moment(AMBIGUOUS, "Europe/Vienna")
    assert found == Moment(utc("2027-10-31T00:30"), comes_twice=True)
    # Half an hour, at the other end of the world.
    found = campaign_schedule.find_moment(local("2027-04-04T01:45"), "Australia/Lord_Howe")
    assert found.comes_twice


def test_a_time_that_clocks_do_not_show_is_refused_with_one_that_they_do():
    with pytest.raises(ValueError, match=r"does not exist in Europe/Vienna.* 2027-03-28 03:30"):
        campaign_schedule.find_moment(GAP, "Europe/Vienna")
    assert campaign_schedule.find_moment(GAP, "UTC") == Moment(utc("2027-03-28T02:30"))
    # Samoa left out a whole day.
    with pytest.raises(ValueError, match="does not exist in Pacific/Apia"):
        campaign_schedule.find_moment(local("2011-12-30T12:00"), "Pacific/Apia")


@pytest.mark.parametrize(
    "zone",
    ["", "Vienna", "europe/vienna", "+01:00", "../../etc/passwd", "/etc/localtime", "Europe/\ud800",
     "Europe/Vienna\0", "Europe", "posix/Europe/Vienna", "🕰" * 1000],
)  # fmt: skip
def test_what_is_no_zone_is_refused(zone):
    assert not campaign_schedule.is_zone(zone)
    with pytest.raises(ValueError, match="is no time zone"):
        campaign_schedule.find_moment(AMBIGUOUS, zone)


@pytest.mark.parametrize(
    ("shown", "zone"),
    [("0001-01-01T00:00", "Asia/Tokyo"), ("9999-12-31T23:59", "America/New_York")],
)
def test_the_ends_of_the_calendar_are_told_and_not_stumbled_over(shown, zone):
    with pytest.raises(ValueError, match="must lie in the years 1 to 9999"):
        campaign_schedule.find_moment(local(shown), zone)


def test_the_zones_are_named_as_people_know_them():
    zones = campaign_schedule.list_zones()
    assert {"UTC", "Europe/Vienna", "America/New_York"} <= set(zones)
    assert zones == sorted(zones)


@pytest.mark.parametrize(
    ("zone", "words"),
    [("UTC", "UTC+00:00"), ("Europe/Vienna", "UTC+01:00"), ("America/St_Johns", "UTC-03:30")],
)
def test_an_offset_is_told(zone, words):
    assert campaign_schedule.offset_text(utc("2027-01-31T09:30"), zone) == words
