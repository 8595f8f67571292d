"""Webhooks, the pure part: what is sent, how it is signed, when it is tried again, and to whom.

Signature: `t=<unix seconds>,v1=<hex>` with HMAC-SHA256 over `<unix seconds>.<body>`. A receiver
computes the same, compares in constant time, and refuses what is older than a few minutes.
"""

import hmac
import ipaddress
from hashlib import sha256
from urllib.parse import urlsplit

from ledger.errors import Invalid

SIGNATURE = "Hovedbok-Signature"
ATTEMPTS_MAX = 12
_FIRST_WAIT_S = 30
_LONGEST_WAIT_S = 6 * 3600
# Source: RFC 4291, section 2.4 (what is given out of IPv6), and RFC 6052, section 2.1 (NAT64).
_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class WebhookAddressRefused(Invalid):
    """A webhook may not be sent to this address.

    Raise as: f"{url}: {cause}. Use an https address of a host that all can reach.".
    """

    title = "Webhook address is refused"


def secret_of(master: bytes, webhook_id: int) -> str:
    """Derive the secret of a webhook; it is shown to its owner and stored nowhere."""
    return "whs_" + hmac.digest(master, f"webhook/{webhook_id}".encode(), "sha256").hex()


def signature(secret: str, sent_at: int, body: bytes) -> str:
    """Sign a body as sent at an instant. [Unix seconds]"""
    signed = hmac.new(secret.encode(), b"%d." % sent_at + body, sha256).hexdigest()
    return f"t={sent_at},v1={signed}"


def wait_s(attempts: int) -> int:
    """Say how long to wait after so many failed attempts. [s]

    >>> [wait_s(n) for n in (1, 2, 3)]
    [30, 60, 120]
    """
    return int(min(_FIRST_WAIT_S * 2 ** (attempts - 1), _LONGEST_WAIT_S))


def check_address(url: str) -> tuple[str, int]:
    """Give host and port of an address that webhooks may go to by its form.

    Plain http is for this machine only (a receiver under development). Which addresses the name
    leads to is checked when it is sent: see `is_reachable_by_all`.

    Raises `WebhookAddressRefused`.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        host, port, parts = "", 0, urlsplit("")
    local = host in {"localhost", "127.0.0.1", "::1"}
    fault = ""
    if not host or not port or len(url) > 2000 or not url.isascii() or not url.isprintable():
        fault = "this is no address"
    elif parts.username or parts.password or parts.fragment:
        fault = "it must not hold a password or a fragment"
    elif parts.scheme != "https" and not (parts.scheme == "http" and local):
        fault = "only https is allowed"
    if fault:
        raise WebhookAddressRefused(
            f"{url[:200]}: {fault}. Use an https address of a host that all can reach.", url=url
        )
    return host, port


def is_reachable_by_all(address: str) -> bool:
    """Tell whether an IP address is of the public net: never a machine beside this one.

    Addresses of IPv6 that stand for one of IPv4 are told by that, or are refused: a gateway beside
    this machine may lead back in.
    """
    told = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(told, ipaddress.IPv6Address):
        if told in _NAT64:
            told = ipaddress.IPv4Address(int(told) & 0xFFFF_FFFF)
        elif told not in _UNICAST or told.sixtofour is not None:
            return False
    return told.is_global and not told.is_multicast
