"""What a sending domain that is in order has in the DNS."""

KEY = (
    "v=DKIM1; k=rsa; p="
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAoRcJfWRk8kguYN7eH8XqoWOkgKLvK9Bb"
    "Ku8YVuULOi8h8X4jlszw5aye4du1PNV25CHstP+NnEiXk1hkCRSAeKhHgzJEs6xUexiNdZ9sW6vD"
    "09f7m9QCgrW4B8w035kwmc7NoHg3qhoYLJYKwHG04utZ/c7g7MXzgKC6T1OLkmB15TBTuL9htyYU"
    "ZrQcwB7zKLytE1FdGBaoyKGdbnIykfMi2vtKJa7I2Fxs2Si+JfVf7t5ngIv+y5Da7phdBTbsYrJR"
    "t7dY6R9KKtYDmcU8UQJTrotuOSdTqqVBGqNpGWSASrYdZDfre/cY1t/t/cxxfeCEVJVqyqP5TTXN"
    "VsMY4QIDAQAB"
)
"""An RSA key of 2,048 bits, whose private half nobody has."""


def publish(server, name, *, selector="s1"):
    """Give a DNS server (`tests/dns_server.py`) all records of a domain that is ready."""
    server.txt(name, "v=spf1 ip4:192.0.2.0/24 -all")
    server.txt(f"{selector}._domainkey.{name}", KEY)
    server.txt(f"_dmarc.{name}", f"v=DMARC1; p=quarantine; rua=mailto:dmarc@{name}")
    server.mx(name, "10 mx.example.net.")
