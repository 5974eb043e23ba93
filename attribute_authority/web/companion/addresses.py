"""Whose request it is: the browser's address, also behind proxies, and how many attempts it has left."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from werkzeug import Request

from attribute_authority.errors import TooManyAttempts
from attribute_authority.events import Pseudonyms
from attribute_authority.ports import AttemptCounter

Networks = Sequence[IPv4Network | IPv6Network]
_MINUTE: Final = 60
_HOME_PREFIX: Final = 64
_UNKNOWN: Final = IPv4Address(0)


def peer_address(request: Request) -> IPv4Address | IPv6Address:
    """Return the address at the other end of the connection; 0.0.0.0 where there is none, as on a socket without addresses."""
    return _parse(request.remote_addr or "") or _UNKNOWN


def browser_address(request: Request, proxies: Networks) -> IPv4Address | IPv6Address:
    """Return the browser's address: the last one of X-Forwarded-For that no trusted proxy has, where the peer is one."""
    address = peer_address(request)
    forwarded = [part.strip() for line in request.headers.getlist("X-Forwarded-For") for part in line.split(",")]
    while forwarded and is_within(address, proxies):
        nearer = _parse(forwarded.pop())
        if nearer is None:
            break
        address = nearer
    return address


def is_within(address: IPv4Address | IPv6Address, networks: Networks) -> bool:
    """Whether an address is in one of the networks."""
    return any(address in network for network in networks)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@dataclass(frozen=True, slots=True)
class AttemptLimits:
    """Limits what one address may begin in a minute, counted across workers and nodes; the store sees pseudonyms of addresses alone."""

    counter: AttemptCounter
    pseudonyms: Pseudonyms
    proxies: Networks
    per_minute: int

    def check(self, step: str, request: Request, now: datetime) -> None:
        """Count an attempt at a step. Raises TooManyAttempts, CouldNotAsk."""
        minute = int(now.timestamp()) // _MINUTE
        bucket = self.pseudonyms.of(f"{step} {minute} {_household(browser_address(request, self.proxies))}")
        expires_at = datetime.fromtimestamp((minute + 1) * _MINUTE, now.tzinfo) + timedelta(seconds=_MINUTE)
        if self.counter.count_attempt(bucket, expires_at) > self.per_minute:
            raise TooManyAttempts(f"more than {self.per_minute} attempts at {step} in a minute")


def _household(address: IPv4Address | IPv6Address) -> str:
    # Whoever has one IPv6 address has a /64 of them.
    return str(address) if address.version == 4 else str(ip_network((address, _HOME_PREFIX), strict=False))
