"""The caller's address behind proxies, and lists of networks."""

from ipaddress import ip_network

import pytest

from maild.domain import client_address

PROXY, OTHER_PROXY = "10.0.0.1", "10.0.0.2"
TRUSTED = (ip_network("10.0.0.0/24"), ip_network("fd00::/8"))


def find(remote, forwarded, trusted=TRUSTED):
    found = client_address.find(remote, forwarded, trusted)
    return None if found is None else str(found)


@pytest.mark.parametrize(
    ("remote", "forwarded", "address"),
    [
        ("192.0.2.7", None, "192.0.2.7"),
        ("192.0.2.7", "198.51.100.1", "192.0.2.7"),  # who is no proxy may write what they like
        (PROXY, None, PROXY),
        (PROXY, "", PROXY),
        (PROXY, "198.51.100.1", "198.51.100.1"),
        (PROXY, "203.0.113.9, 198.51.100.1", "198.51.100.1"),  # the rest is the caller's own words
        (PROXY, f"198.51.100.1, {OTHER_PROXY}", "198.51.100.1"),
        (PROXY, f"203.0.113.9,198.51.100.1 ,\t{OTHER_PROXY}", "198.51.100.1"),
        (PROXY, f"10.0.0.77, {OTHER_PROXY}", "10.0.0.77"),  # a caller among the proxies
        ("fd00::1", "2001:db8::5", "2001:db8::5"),
        (PROXY, "2001:DB8:0:0::5", "2001:db8::5"),
        (f"::ffff:{PROXY}", "::ffff:198.51.100.1", "198.51.100.1"),
        (PROXY, "198.51.100.1:4711", "198.51.100.1"),
        (PROXY, "[2001:db8::5]:4711", "2001:db8::5"),
        (PROXY, "[2001:db8::5]", "2001:db8::5"),
        (PROXY, "fe80::1%eth0", "fe80::1"),
        (None, "198.51.100.1", None),
        ("", None, None),
        ("unix:", "198.51.100.1", None),
    ],
)
def test_it_finds_the_caller(remote, forwarded, address):
    assert find(remote, forwarded) == address


@pytest.mark.parametrize(
    "bad",
    ["unknown", "_hidden", "198.51.100", "198.51.100.1.", "[2001:db8::5", "[::1]x", "1.2.3.4:",
     "a b", " "],
)  # fmt: skip
def test_nothing_counts_that_stands_before_a_bad_entry(bad):
    """Whoever wrote the bad entry is known; who came before is anybody's word."""
    assert find(PROXY, f"198.51.100.1, {bad}") == PROXY
    assert find(PROXY, f"198.51.100.1, {bad}, {OTHER_PROXY}") == OTHER_PROXY
    assert find(PROXY, f"{bad}, 198.51.100.1") == "198.51.100.1"


def test_without_trusted_proxies_the_header_is_never_read():
    assert find(PROXY, "198.51.100.1", trusted=()) == PROXY


def test_an_endless_header_is_looked_at_from_its_end_only():
    header = ",".join(["198.51.100.1"] + [OTHER_PROXY] * 100_000)
    assert find(PROXY, header) == OTHER_PROXY


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("192.0.2.1", "192.0.2.1/32"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.0/255.255.255.0", "192.0.2.0/24"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("2001:db8::1", "2001:db8::1/128"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::ffff:192.0.2.9", "192.0.2.9/32"),
    ],
)
def test_it_takes_networks_and_addresses(text, network):
    parsed = client_address.parse_network(text)
    assert str(parsed) == network
    assert client_address.parse_network(str(parsed)) == parsed


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("192.0.2.1/24", "192.0.2.0/24"),
        ("2001:db8::1/32", "2001:db8::/32"),
        ("::ffff:192.0.2.9/120", "::ffff:c000:200/120"),
        *[(bad, "must be an address or a network") for bad in (
            "", " ", "example.com", "192.0.2.0/33", "192.0.2.0/", "192.0.2", "192.0.2.0/24 ",
            "a/b/c",
            "fe80::1%eth0", "1.2.3.4\0", "٣.2.3.4", "192.0.2.1-192.0.2.9", "*")],
    ],
)  # fmt: skip
def test_it_refuses_what_is_no_network(text, complaint):
    with pytest.raises(ValueError, match=complaint.replace(".", r"\.")):
        client_address.parse_network(text)


@pytest.mark.parametrize(
    ("address", "household"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
    ],
)
def test_of_ipv6_a_household_has_a_network(address, household):
    assert client_address.household(client_address.parse(address)) == household


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
    ],
)
def test_where_somebody_roughly_is_is_a_network_around_them(address, network):
    assert client_address.neighbourhood(client_address.parse(address)) == network
