"""Numbers that prove themselves: KID, organisation number, bank account and SIM card numbers.

Each is told right from wrong by its check digit, a card number by its layout. Sources: KID, the
description of the OCR giro; organisation and account numbers, python-stdnum; ICCID, ITU-T E.118.
"""

import re
from itertools import cycle

from stdnum import luhn
from stdnum.no import kontonr, orgnr

from ledger.errors import Invalid

KID_LENGTH = 15  # of the KIDs that we issue: MOD10, always

_ACCOUNT = re.compile(r"[0-9]{8}")
_KID = re.compile(r"[0-9]{1,24}[0-9-]")
_ICCID = re.compile(r"89[1-9][0-9]{15,17}")
_SEQUENCES = 1_000_000


def make_kid(account_no: str, sequence: int) -> str:
    """Make the KID of a bill: account number (8 digits), its bill sequence (6), MOD10 digit.

    Raises
    ------
    Invalid : the account number is not 8 digits, or the sequence not from 1 to 999 999.

    >>> make_kid("30000001", 1)
    '300000010000013'
    """
    if not _ACCOUNT.fullmatch(account_no):
        raise Invalid(f"Billing account {account_no!r} is not 8 digits.", account_no=account_no)
    if not 0 < sequence < _SEQUENCES:
        raise Invalid(f"Bill sequence {sequence} is not from 1 to 999999.", sequence=sequence)
    body = f"{account_no}{sequence:06d}"
    return body + luhn.calc_check_digit(body)


def account_of_kid(kid: str) -> str | None:
    """Give the billing account number in a KID of ours; None where it is not one that we issue.

    >>> account_of_kid("300000010000013"), account_of_kid("12345678903")
    ('30000001', None)
    """
    bare = compact_kid(kid)
    return bare[:8] if len(bare) == KID_LENGTH and is_valid_kid(bare) else None


def compact_kid(kid: str) -> str:
    """Take away the blanks that people write between groups."""
    return re.sub(r"\s", "", kid)


def mod11_digit(body: str) -> str:
    """Compute the MOD11 check digit, weights 2 to 7 from the right; `-` stands for ten."""
    total = sum(int(digit) * weight for digit, weight in zip(body[::-1], cycle(range(2, 8))))
    return "0123456789-0"[11 - total % 11]


def is_valid_kid(kid: str, method: str = "mod10") -> bool:
    """Tell whether the last character of a KID proves the others; method mod10 or mod11."""
    bare = compact_kid(kid)
    if not _KID.fullmatch(bare):
        return False
    if method == "mod11":
        return bare[-1] == mod11_digit(bare[:-1])
    return bare[-1] == luhn.calc_check_digit(bare[:-1])


def is_valid_org_no(org_no: str) -> bool:
    """Tell whether a Norwegian organisation number has nine digits and the right check digit."""
    return bool(orgnr.is_valid(org_no))


def is_valid_bank_account(account: str) -> bool:
    """Tell whether a Norwegian bank account has eleven digits and the right check digit.

    >>> is_valid_bank_account("1234.56.78903"), is_valid_bank_account("12345678904")
    (True, False)
    """
    return len(kontonr.compact(account)) == 11 and bool(kontonr.is_valid(account))


def encode_iccid(iccid: str) -> int:
    """Put a card number of 18 to 20 digits into an int64: without the 89 that all begin with.

    Country codes do not begin with 0, so that `decode_iccid` gives the same text back.

    Raises
    ------
    Invalid : it is no card number.
    """
    if not _ICCID.fullmatch(iccid):
        raise Invalid(f"ICCID {iccid!r} is not 89 and 16 to 18 digits more.", iccid=iccid)
    return int(iccid[2:])


def decode_iccid(value: int) -> str:
    """Give the digits of an encoded card number."""
    return f"89{value}"
