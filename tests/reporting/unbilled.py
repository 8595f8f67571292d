"""Months that are rated and not billed: charge keys and deltas, posted as rating posts them."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
from sqlalchemy import insert
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from ledger import service as ledger
from ledger.db import transaction
from ledger.journal import BatchDraft, EntryDraft, Line
from party.models import BillingAccount as BillingAccountRow
from party.models import Party, Subscription, SubscriptionIdentifier
from rating import service as rating
from rating.charges import Booked, ChargeKey
from reporting.invoicing import BillingAccount, Charge
from tests.conftest import register_dimensions

BOOK, PERIOD, LAST_DAY = "NO01", "2026-03", date(2026, 3, 31)
SUBSCRIPTION = 5_000  # The subscription of account 7 is 5007, its number 47 90 00 00 07.


class Unbilled:
    """A book with customers and rated charges that no bill has taken yet."""

    def __init__(self) -> None:
        self._known: set[int] = set()
        self._batches = 0
        with transaction() as session:
            ledger.seed_book(session, BOOK)
            register_dimensions(session, BOOK)
            ledger.open_periods(session, BOOK, 2026)

    def owes(self, account: BillingAccount, *charges: Charge, known: bool = True) -> list[int]:
        """Rate some charges of an account in one batch; gives their keys. Net 0 posts no entry."""
        if known:
            self._register(account)
        self._batches += 1
        with transaction() as session:
            ids = rating.ensure_charge_keys(
                session, [self._key(account, charge) for charge in charges]
            )
            batch_id = self._post(session, sum(charge.net_minor for charge in charges))
            gross = [each.amount_minor if each.basis == "gross" else 0 for each in charges]
            added = Booked(
                np.array([each.amount_minor for each in charges], np.int64) * 10_000,
                np.array([each.net_minor for each in charges], np.int64),
                np.array(gross, np.int64),
            )
            quantities = np.array([each.quantity or 0 for each in charges], np.int64)
            ones = np.ones(len(charges), np.int64)
            rating.add_charge_deltas(session, batch_id, ids, added, ones, quantities)
        return [int(key) for key in ids]

    def _key(self, account: BillingAccount, charge: Charge) -> ChargeKey:
        return ChargeKey(
            book_code=BOOK,
            billing_account_id=account.billing_account_id,
            party_id=account.party_id,
            subscription_id=SUBSCRIPTION + account.billing_account_id,
            component=charge.component,
            revenue_account="3010",
            vat_code=charge.vat_code,
            vat_rate_bp=charge.vat_rate_bp,
            price_basis=charge.basis,
            usage_period=PERIOD,
            accounting_month=PERIOD,
            billing_period=PERIOD,
            kind="one_off",
            charge_ref=f"{self._batches}/{charge.charge_key_id}",
            text=charge.text,
            unit=charge.unit,
        )

    def _post(self, session: Session, net_minor: int) -> int:
        """Post what was delivered; where nothing was, a krone to and fro carries the batch."""
        amount = net_minor or 100
        lines = [Line("1530", amount), Line("3010", -amount)]
        if not net_minor:
            lines += [Line("3010", amount), Line("1530", -amount)]
        name = f"u/{self._batches}"
        entry = EntryDraft(
            "USG", LAST_DAY, LAST_DAY, "usage_rated", name, "Usage rated", tuple(lines)
        )
        posted = ledger.post_batch(session, BatchDraft(BOOK, "rating", name, "test", (entry,)))
        return posted.batch_id

    def _register(self, account: BillingAccount) -> None:
        """Make the customer, the account and a subscription with a number, once."""
        if account.billing_account_id in self._known:
            return
        self._known.add(account.billing_account_id)
        with transaction() as session:
            session.execute(upsert(Party).values(
                party_id=account.party_id, customer_no=f"C{account.party_id}",
                kind="organisation" if account.org_no else "person", name=account.name,
                org_no=account.org_no, street=account.street, postcode=account.postcode,
                city=account.city, country=account.country,
            ).on_conflict_do_nothing())  # fmt: skip
            session.execute(insert(BillingAccountRow).values(
                billing_account_id=account.billing_account_id, number=account.number,
                external_ref=account.number, party_id=account.party_id, segment=account.segment,
                terms_days=account.credit_days,
            ))  # fmt: skip
            session.execute(
                insert(Subscription)
                .values(subscription_id=SUBSCRIPTION + account.billing_account_id,
                        external_ref=f"S{account.billing_account_id}")
            )  # fmt: skip
            session.execute(insert(SubscriptionIdentifier).values(
                subscription_id=SUBSCRIPTION + account.billing_account_id, kind="msisdn",
                value=4_790_000_000 + account.billing_account_id,
                valid_from=datetime(2026, 1, 1, tzinfo=UTC),
            ))  # fmt: skip
