"""For whom a request is: by which names a server goes, and whether a browser asks for a page of another site."""

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

#: Names of this machine for itself.
LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))


@dataclass(frozen=True)
class Hosts:
    """The names that a server goes by. A page whose name was turned to this machine (DNS rebinding) knows none of them.

    Attributes:
        names: in lower case.
        addresses: whether any IP address is one, too: of a server that listens on all of its machine's.
    """

    names: Collection[str] = LOOPBACK
    addresses: bool = False

    def knows(self, host: str) -> bool:
        """Whether the Host header of a request, with or without a port, is one of them."""
        name = host_name(host)
        return name in self.names or (self.addresses and is_address(name))


def host_name(host: str) -> str:
    """A Host header without its port and without the brackets of an IPv6 address, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def is_address(name: str) -> bool:
    """Whether a name is an IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def check_origin(headers: Headers) -> None:
    """Whether a browser sends this for a page of this very server; programs that are no browsers do not say.

    Raises:
        HTTPException: 403, it is for a page of another site.
    """
    host = headers.get("host", "").lower()
    origin = headers.get("origin")
    same = origin is None or origin.lower() in (f"http://{host}", f"https://{host}")
    if not same or headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise HTTPException(403, "this was sent by a page of another site")
