"""The seller: the legal entity of a book as it signs its documents."""

from __future__ import annotations

from dataclasses import dataclass

from stdnum.no import orgnr

from ledger.errors import Invalid

_ACCOUNT_WEIGHTS = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)


@dataclass(frozen=True, slots=True)
class Seller:
    """Name, registration, address and the account that customers pay to."""

    name: str
    org_no: str  # Nine digits, mod 11.
    street: str
    postcode: str
    city: str
    bank_account: str  # Eleven digits, mod 11.
    web: str
    vat_registered: bool = True
    in_business_register: bool = True

    def __post_init__(self) -> None:
        """Refuse a number that fails its check digit: it would stand on every document."""
        if not orgnr.is_valid(self.org_no):
            raise Invalid(f"{self.org_no!r} is not a valid organisation number.")
        if not is_bank_account(self.bank_account):
            raise Invalid(f"{self.bank_account!r} is not a valid Norwegian account number.")


def is_bank_account(digits: str) -> bool:
    """Check a Norwegian account number: eleven digits, the last one by MOD11.

    >>> is_bank_account("12345678903"), is_bank_account("12345678904")
    (True, False)

    Source: norway.md section 18.
    """
    if len(digits) != len(_ACCOUNT_WEIGHTS) + 1 or not (digits.isascii() and digits.isdigit()):
        return False
    weighted = zip(digits, _ACCOUNT_WEIGHTS, strict=False)
    total = sum(int(digit) * weight for digit, weight in weighted)
    return (total + int(digits[-1])) % 11 == 0


# The operator of the demonstration: a number of the synthetic range, a fictitious account.
DEMO_SELLER = Seller(
    name="Nordlys Mobil AS",
    org_no="310000205",
    street="Polarlysveien 1",
    postcode="9010",
    city="Tromsø",
    bank_account="12345678903",
    web="nordlysmobil.example",
)
