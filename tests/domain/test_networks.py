"""Which addresses the hosts of workspaces may lead to: every range at both ends, in every form."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maild.domain.networks import Guard, literal

STRICT = Guard()

# Network, and the word that people are told.
SPECIAL = [
    ("0.0.0.0/8", "unspecified"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "carrier"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "reserved"),
    ("192.0.2.0/24", "documentation"),
    ("192.88.99.0/24", "reserved"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "benchmark"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/5", "reserved"),
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("64:ff9b:1::/48", "private"),
    ("100::/64", "reserved"),
    ("2001:2::/48", "reserved"),
    ("2001:10::/28", "reserved"),
    ("2001:db8::/32", "documentation"),
    ("3fff::/20", "documentation"),
    ("4000::/3", "reserved"),
    ("5f00::/16", "reserved"),
    ("fc00::/8", "private"),
    ("fd00::/8", "private"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "private"),
    ("ff00::/8", "multicast"),
]
PUBLIC = [
    "1.0.0.1",
    "8.8.4.4",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2606:4700:4700::64",
    "2a00:1450:4001:80b::200e",
]


@pytest.mark.parametrize(("network", "word"), SPECIAL)
def test_a_special_range_is_refused_from_end_to_end(network, word):
    addresses = ip_network(network)
    for address in (addresses[0], addresses[-1], addresses[addresses.num_addresses // 2]):
        assert word in STRICT.objection(address)
        assert not STRICT.permits(address)


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_permitted(text):
    assert STRICT.permits(ip_address(text))


def test_the_broadcast_and_the_metadata_address_are_refused():
    assert STRICT.objection(IPv4Address("255.255.255.255")) == "the broadcast address"
    assert STRICT.objection(IPv4Address("169.254.169.254")) == "a link-local address"
    assert STRICT.objection(IPv6Address("fd00:ec2::254")) == "a private address"


def wrapped(inner: IPv4Address) -> dict[str, IPv6Address]:
    """An IPv4 address in each form of IPv6 that has one inside."""
    value = int(inner)
    public = int(IPv4Address("8.8.4.4"))
    teredo = int(IPv6Address("2001::"))
    inverted = 0xFFFF_FFFF
    return {
        "mapped": IPv6Address(0xFFFF << 32 | value),
        "NAT64": IPv6Address(int(IPv6Address("64:ff9b::")) | value),
        "6to4": IPv6Address(int(IPv6Address("2002::dead:beef")) | value << 80),
        "Teredo client": IPv6Address(teredo | public << 64 | value ^ inverted),
        "Teredo server": IPv6Address(teredo | value << 64 | public ^ inverted),
        **({"compatible": IPv6Address(value)} if value > 1 else {}),
    }


@pytest.mark.parametrize("text", ["8.8.8.8", *(network.split("/")[0] for network, _ in SPECIAL)])
def test_what_is_wrapped_in_ipv6_counts(text):
    inner = ip_address(text)
    if isinstance(inner, IPv4Address):
        for form, outer in wrapped(inner).items():
            assert STRICT.objection(outer) == STRICT.objection(inner), form


@given(st.ip_addresses(v=4))
def test_no_form_of_an_address_changes_the_answer(inner):
    for form, outer in wrapped(inner).items():
        assert STRICT.permits(outer) == STRICT.permits(inner), form


@given(st.ip_addresses(v=6))
def test_no_ipv6_address_outside_global_unicast_is_permitted(address):
    if STRICT.permits(address) and address not in ip_network("2000::/3"):
        assert any(
            address in ip_network(network) for network in ("::/96", "::ffff:0:0/96", "64:ff9b::/96")
        )


def test_an_allowed_network_is_permitted_in_every_form_and_nothing_beside_it():
    guard = Guard((ip_network("10.1.0.0/16"), ip_network("fd00:1::/48")))
    for outer in wrapped(IPv4Address("10.1.2.3")).values():
        assert guard.permits(outer)
    assert guard.permits(IPv6Address("fd00:1::25"))
    for text in ("10.2.0.0", "127.0.0.1", "fd00:2::1", "::1", "::ffff:10.2.0.0"):
        assert not guard.permits(ip_address(text))


def test_a_zone_does_not_hide_an_address():
    assert STRICT.objection(ip_address("fe80::1%eth0")) == "a link-local address"
    assert STRICT.objection(ip_address("::1%lo")) == "a loopback address"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("127.0.1", "127.0.0.1"),
        ("127.65535", "127.0.255.255"),
        ("0x7f.1", "127.0.0.1"),
        ("0X7F.0.0.0x1", "127.0.0.1"),
        ("0177.1", "127.0.0.1"),
        ("127.0.0.01", "127.0.0.1"),
        ("010.1", "8.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("0", "0.0.0.0"),
        ("4294967295", "255.255.255.255"),
        ("192.168.257", "192.168.1.1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("[::ffff:127.0.0.1].", "::ffff:127.0.0.1"),
        ("0:0:0:0:0:0:0:1", "::1"),
    ],
)
def test_it_reads_an_address_as_resolvers_do(text, address):
    assert literal(text) == ip_address(address)


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "example.com", "1.example", "256.1", "1.256.1", "127.0.0.256", "1.2.3.4.5",
        "4294967296", "08.1", "0x7g.1", "127..1", "-1", "1e3", "١٢٧.٠.٠.١", "1" * 10_000,
        "[127.1", "::g", "localhost",
    ],
)  # fmt: skip
def test_a_name_is_no_address(text):
    assert literal(text) is None


@given(st.ip_addresses(v=4), st.integers(1, 4), st.sampled_from([str, hex, lambda n: f"0{n:o}"]))
def test_every_spelling_of_an_address_is_found_out(address, parts, spell):
    value = int(address)
    heads = [value >> (24 - 8 * place) & 0xFF for place in range(parts - 1)]
    last = value & (1 << 8 * (5 - parts)) - 1
    assert literal(".".join(map(spell, [*heads, last]))) == address


@pytest.mark.parametrize(
    "host",
    ["127.1", "[::1]", "2130706433", "localhost", "LOCALHOST.", "db.localhost", "10.0.0.1", "0"],
)
def test_a_host_is_refused_before_it_is_looked_up(host):
    assert STRICT.objection_to_host(host)


@pytest.mark.parametrize("host", ["smtp.example.com", "localhost.example.com", "8.8.8.8", "8.1028"])
def test_a_host_that_may_be_public_is_left_to_the_dial(host):
    assert STRICT.objection_to_host(host) is None


@pytest.mark.parametrize("network", ["127.0.0.0/8", "::1/128"])
def test_this_machine_may_be_named_where_one_of_its_addresses_is_allowed(network):
    guard = Guard((ip_network(network),))
    assert guard.objection_to_host("localhost") is None
    assert guard.objection_to_host("10.0.0.1") == "a private address"


def test_it_does_not_take_ipv4_for_ipv6():
    assert not Guard((ip_network("::/0"),)).permits(IPv4Address("10.0.0.1"))
    assert Guard((IPv4Network("0.0.0.0/0"),)).permits(IPv4Address("10.0.0.1"))
