"""Digits on the wire and check digits: TBCD, addresses, KID, organisation and account numbers.

Source: 3GPP TS 29.002 and TS 32.298 for TBCD-STRING and AddressString; the OCR
giro's specification for KID; the weights of python-stdnum for the rest.
"""

INTERNATIONAL = 0x91
NATIONAL = 0xA1
UNKNOWN_TYPE = 0x81


def tbcd(digits: str) -> bytes:
    """Pack digits two to an octet, the first in the low nibble; an odd end is filled with F.

    >>> tbcd("123").hex()
    '21f3'
    """
    padded = digits + "f" * (len(digits) % 2)
    return bytes(int(padded[i + 1] + padded[i], 16) for i in range(0, len(padded), 2))


def address(number_type: int, digits: str) -> bytes:
    """Write an address: the octet with type and plan of the number, then its digits."""
    return bytes([number_type]) + tbcd(digits)


def mod10(digits: str) -> int:
    """Compute the MOD10 check digit: weights 2, 1, 2, 1 from the right, digits of products summed.

    >>> mod10("12345678")
    2
    """
    total = 0
    for place, digit in enumerate(reversed(digits)):
        product = int(digit) * (2 - place % 2)
        total += product // 10 + product % 10
    return -total % 10


def mod11(digits: str) -> int | None:
    """Compute the MOD11 check digit with weights 2 to 7 from the right; None where there is none.

    >>> mod11("12345678")
    5
    """
    total = sum(int(digit) * (2 + place % 6) for place, digit in enumerate(reversed(digits)))
    check = -total % 11
    return None if check == 10 else check


def kid(account: str, bill: int) -> str:
    """Write the KID of an account's bill: account (8), bill sequence (6), MOD10."""
    body = f"{account}{bill:06d}"
    return f"{body}{mod10(body)}"


def valid_numbers(first: int, count: int) -> list[str]:
    """List the next `count` numbers from `first` that have a MOD11 check digit, with it.

    Organisation numbers (8 + 1 digits) and bank accounts (10 + 1) are made the same way.
    """
    found: list[str] = []
    body = first
    while len(found) < count:
        check = mod11(str(body))
        if check is not None:
            found.append(f"{body}{check}")
        body += 1
    return found
