"""A way out for mail, as far as the DNS of its sender has to know it. Pure."""

from dataclasses import dataclass
from ipaddress import ip_address

from maild.domain import smtp_presets
from maild.domain.networks import Address
from maild.domain.provider_dns import ProviderDns
from maild.domain.provider_dns import find as find_dns


@dataclass(frozen=True, slots=True)
class Route:
    """An SMTP account. `return_path` is the domain of its envelope senders, in A-labels; None: the
    sender's own.
    """

    name: str
    host: str
    return_path: str | None = None

    @property
    def provider(self) -> ProviderDns | None:
        """What is known of its provider; None for a server of somebody's own."""
        preset = smtp_presets.of_host(self.host)
        return find_dns(preset.key) if preset else None

    @property
    def title(self) -> str:
        """The provider's name, or the host."""
        preset = smtp_presets.of_host(self.host)
        return preset.title if preset else self.host

    @property
    def address(self) -> Address | None:
        """Where the host is an address itself."""
        try:
            return ip_address(self.host.strip("[]"))
        except ValueError:
            return None

    @property
    def is_inside(self) -> bool:
        """Whether its host is of this machine or network: from where mail goes on is not known."""
        address = self.address
        return self.host == "localhost" or (address is not None and not address.is_global)
