"""The seller: the legal entity of a book as it signs its documents."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.errors import Invalid
from party.identifiers import is_valid_bank_account, is_valid_org_no


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
        if not is_valid_org_no(self.org_no):
            raise Invalid(f"{self.org_no!r} is not a valid organisation number.")
        if not is_valid_bank_account(self.bank_account):
            raise Invalid(f"{self.bank_account!r} is not a valid Norwegian account number.")


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
