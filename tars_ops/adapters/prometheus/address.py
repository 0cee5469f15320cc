"""Which metrics servers may be contacted?

A configured host on loopback or in a private network is welcome. Link-local, metadata, multicast and unspecified
addresses never are: they lead to the machine's own credentials, or to nobody in particular.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from urllib.parse import SplitResult, urlsplit

from tars_ops.core.errors import ConfigurationError

_FORBIDDEN = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/32",  # unspecified: reaches whatever listens on this machine
            "169.254.0.0/16",  # link-local; metadata of most clouds
            "100.100.100.200/32",  # metadata, Alibaba Cloud
            "168.63.129.16/32",  # metadata, Azure
            "192.0.0.192/32",  # metadata, Oracle Cloud
            "224.0.0.0/4",
            "::/128",
            "fe80::/10",
            "fd00:ec2::254/128",  # metadata, AWS
            "fd20:ce::254/128",  # metadata, Google Cloud
            "ff00::/8",
        ),
    )
)
_CARRY_IPV4 = tuple(map(ipaddress.IPv6Network, ("::/96", "::ffff:0:0/96", "64:ff9b::/96")))
_HOST = re.compile(r"[A-Za-z0-9_.-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


class RefusedAddressError(ConfigurationError):
    """An address that must not be contacted; ``why`` says so without naming whose address it is."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the address of the metrics server is refused: {why}; correct TARS_OPS_SOURCE")
        self.why = why


def server_url(text: str) -> str:
    """Check the address of a metrics server and give it back without a trailing slash.

    A host written as a number, in any notation, is judged here; a name is judged by `allowed_addresses` when a
    connection is made, because what it stands for may change.

    Raises
    ------
    ConfigurationError
        If it is not plain ``http(s)://host[:port][/prefix]`` or its address is forbidden. The message never repeats
        the parts that may hold a secret.

    Examples
    --------
    >>> server_url("http://prometheus:9090/mimir/")
    'http://prometheus:9090/mimir'
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _refused("its host or port cannot be read") from None
    _refuse_extras(text, parts)
    host = parts.hostname or ""
    if not _HOST.fullmatch(host):
        raise _refused("it needs a host name in ASCII (xn--... for others) or an IP address")
    for address in _numeric_addresses(host):
        refuse_forbidden(address)
    shown_host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown_host}{'' if port is None else f':{port}'}{parts.path.rstrip('/')}"


def allowed_addresses(host: str, port: int) -> tuple[str, ...]:
    """Resolve ``host`` and refuse it if any of its addresses is forbidden.

    Connecting to one of these literal addresses, rather than to the name again, leaves no moment in which the name
    can be pointed elsewhere.

    Raises
    ------
    ConfigurationError
        If one of the addresses is forbidden.
    OSError
        If the name cannot be resolved.

    Examples
    --------
    >>> allowed_addresses("127.0.0.1", 9090)
    ('127.0.0.1',)
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        refuse_forbidden(address)
    return addresses


def refuse_forbidden(address: str) -> None:
    """Raise ConfigurationError if this IP address, or an IPv4 address carried inside it, must not be contacted."""
    outer = ipaddress.ip_address(address)
    carried = (
        [ipaddress.IPv4Address(outer.packed[-4:])]
        if isinstance(outer, ipaddress.IPv6Address) and any(outer in network for network in _CARRY_IPV4)
        else []
    )
    if any(ip in network for ip in [outer, *carried] for network in _FORBIDDEN):
        raise _refused(f"{address} is a link-local, metadata, multicast or unspecified address")


def _refuse_extras(text: str, parts: SplitResult) -> None:
    if not text.isprintable() or any(character in text for character in " \\"):
        raise _refused("it holds blanks, backslashes or control characters")
    if parts.scheme not in {"http", "https"}:
        raise _refused("it must begin with http:// or https://")
    if "@" in parts.netloc:
        raise _refused(
            "it holds a user or password; remove them and set TARS_OPS_PROMETHEUS_TOKEN, "
            "or TARS_OPS_PROMETHEUS_USER and TARS_OPS_PROMETHEUS_PASSWORD"
        )
    if "?" in text or "#" in text:
        raise _refused("it holds a query or a fragment; keep only http(s)://host:port/prefix")


def _numeric_addresses(host: str) -> tuple[str, ...]:
    """Addresses of a host written as a number (also ``2852039166``, ``0xa9.254.169.254``); none for a name."""
    try:
        return tuple(str(entry[4][0]) for entry in socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST))
    except (OSError, UnicodeError):
        return ()


def _refused(why: str) -> RefusedAddressError:
    return RefusedAddressError(why)
