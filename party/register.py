"""The register of customers and subscriptions, as far as a batch of rows concerns it.

Rows are applied here one after the other, in memory; what became new or ended is written afterwards
in bulk. A row that breaks a rule leaves no trace, so that its neighbours do not depend on it.
"""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field

from party.orders import Customer, Order, Outcome, SubscriptionRecord

OFFERING, ACCOUNT = "offering", "account"
_IDENTITY = ("kind", "org_no")


@dataclass(slots=True, eq=False)
class Span:
    """What a subscription has in [start, end): a number, an offering or a payer."""

    subscription_ref: str
    what: str  # imsi, msisdn, iccid, OFFERING or ACCOUNT
    value: int | str
    start: int  # UTC s
    end: int | None  # UTC s; None while it lasts
    stored_id: int | None = None  # None: not written yet
    agreed_price_micro: int | None = None
    ended_here: bool = False

    def overlaps(self, start: int, end: int | None) -> bool:
        """Tell whether an instant lies in both; an empty span lies nowhere."""
        begins = max(self.start, start)
        return all(stop is None or begins < stop for stop in (self.end, end))


@dataclass(slots=True, eq=False)
class Account:
    """A billing account: `number` and `stored_id` are None while it is new."""

    ref: str
    customer_no: str
    segment: str
    number: str | None = None
    stored_id: int | None = None


@dataclass(slots=True, eq=False)
class Subscriber:
    """A subscription with all its spans."""

    ref: str
    stored_id: int | None = None
    spans: list[Span] = field(default_factory=list)

    def last(self, what: str) -> Span | None:
        """Give the latest span of a kind; of those that start together, the one that lasts."""
        of_kind = (span for span in self.spans if span.what == what)
        return max(of_kind, key=lambda span: (span.start, span.end is None), default=None)

    def at(self, what: str, instant: int) -> Span | None:
        """Give the span of a kind that holds at an instant."""
        found = (s for s in self.spans if s.what == what and s.overlaps(instant, instant + 1))
        return next(found, None)


@dataclass(frozen=True, slots=True)
class Applied:
    """An order that was applied, with what it was applied to."""

    order: Order
    offering: str
    account_ref: str


class _Refused(Exception):
    """A row that breaks a rule: its code and its sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(slots=True, eq=False)
class Register:
    """The part of the register that a batch touches."""

    customers: dict[str, Customer] = field(default_factory=dict)  # by customer number
    accounts: dict[str, Account] = field(default_factory=dict)  # by reference and by number
    subscribers: dict[str, Subscriber] = field(default_factory=dict)
    holders: dict[tuple[str, int], list[Span]] = field(default_factory=dict)
    orders: dict[tuple[str, str], bytes] = field(default_factory=dict)  # content by system, id
    applied: list[Applied] = field(default_factory=list)  # in this batch

    def apply(self, order: Order, known_offerings: Container[str]) -> Outcome:
        """Apply an order, or say why not."""
        before = self.orders.get((order.system, order.order_id))
        if before == order.content_hash:
            return Outcome(order.line_no, "already")
        try:
            done = self._act(order, known_offerings, seen=before is not None)
        except _Refused as why:
            return Outcome(order.line_no, "suspended", why.reason, str(why))
        self.orders[order.system, order.order_id] = order.content_hash
        self.applied.append(done)
        return Outcome(order.line_no, "applied", detail=self._kept(order))

    def enrol(self, row: SubscriptionRecord) -> Outcome:
        """Add a subscription that exists elsewhere, or say why not."""
        customer = _unnamed_customer(row.account_ref, row.segment)
        account = self.accounts.get(row.account_ref) or Account(
            row.account_ref, customer.customer_no, row.segment
        )
        wanted: dict[str, int | str] = {
            **row.numbers, OFFERING: row.offering, ACCOUNT: account.ref
        }  # fmt: skip
        known = self.subscribers.get(row.subscription_ref)
        if known and _began_with(known, wanted, row):
            return Outcome(row.line_no, "already")
        try:
            self._check_new(row, known)
        except _Refused as why:
            return Outcome(row.line_no, "suspended", why.reason, str(why))
        self._keep(account, customer)
        subscriber = self._subscriber(row.subscription_ref)
        for what, value in wanted.items():
            self._open(subscriber, what, value, row.valid_from, row.valid_to)
        return Outcome(row.line_no, "applied")

    def spans(self) -> Iterator[Span]:
        """Give every span of every subscription."""
        for subscriber in self.subscribers.values():
            yield from subscriber.spans

    def hold(self, span: Span) -> None:
        """Remember a span of a subscription, and the holder of its number."""
        self._subscriber(span.subscription_ref).spans.append(span)
        if isinstance(span.value, int):
            self.holders.setdefault((span.what, span.value), []).append(span)

    def _act(self, order: Order, known_offerings: Container[str], *, seen: bool) -> Applied:
        """Do what an order says; raises `_Refused` before anything is changed."""
        if seen:
            raise _Refused(
                "ORDER_CONFLICT",
                f"Order {order.system}/{order.order_id} was applied before with other content. "
                "Send the change as an order of its own.",
            )
        if order.action != "cease" and order.offering not in known_offerings:
            raise _Refused("UNKNOWN_OFFERING", f"Nobody sells {order.offering!r}.")
        actions = {
            "add": self._add, "change": self._change, "addon": self._addon, "cease": self._cease
        }  # fmt: skip
        return actions[order.action](order)

    def _add(self, order: Order) -> Applied:
        known, at = self.subscribers.get(order.subscription_ref), order.effective_at
        if known and any(span.overlaps(at, None) for span in known.spans):
            raise _Refused(
                "ALREADY_ACTIVE",
                f"Subscription {known.ref} is active at that instant or later. "
                "Cease it first, or send a change.",
            )
        self._check_free(order.subscription_ref, order.numbers, at, None)
        account = self._account(order.account_ref, order.customer, order.segment)
        self._keep(account, order.customer)
        subscriber = self._subscriber(order.subscription_ref)
        for kind, value in order.numbers.items():
            self._open(subscriber, kind, value, at)
        self._open(subscriber, OFFERING, order.offering, at, agreed=order.agreed_price_micro)
        self._open(subscriber, ACCOUNT, account.ref, at)
        return Applied(order, order.offering, account.ref)

    def _change(self, order: Order) -> Applied:
        subscriber, _, payer = self._active(order)
        at = order.effective_at
        new = {
            kind: value
            for kind, value in order.numbers.items()
            if not ((now := subscriber.at(kind, at)) and now.value == value)
        }
        self._check_free(subscriber.ref, new, at, None)
        account_ref = str(payer.value)
        if order.account_ref:
            account = self._account(order.account_ref, order.customer, order.segment)
            self._keep(account, order.customer)
            account_ref = account.ref
        for kind, value in new.items():
            self._replace(subscriber, kind, value, at)
        self._replace(subscriber, OFFERING, order.offering, at, order.agreed_price_micro)
        self._replace(subscriber, ACCOUNT, account_ref, at)
        return Applied(order, order.offering, account_ref)

    def _addon(self, order: Order) -> Applied:
        subscriber, at = self._known(order), order.effective_at
        payer = subscriber.at(ACCOUNT, at)
        if payer is None or subscriber.at(OFFERING, at) is None:
            raise _Refused(
                "NOT_ACTIVE", f"Subscription {subscriber.ref} is not active at that instant."
            )
        named = self.accounts.get(order.account_ref)
        if order.account_ref and (named is None or named.ref != payer.value):
            raise _Refused(
                "ACCOUNT_DIFFERS",
                f"The order names account {order.account_ref}, but {payer.value} pays for "
                f"{subscriber.ref} at that instant.",
            )
        return Applied(order, order.offering, str(payer.value))

    def _cease(self, order: Order) -> Applied:
        subscriber, offering, payer = self._active(order)
        for span in subscriber.spans:
            if span.end is None:
                span.end, span.ended_here = order.effective_at, True
        return Applied(order, str(offering.value), str(payer.value))

    def _known(self, order: Order) -> Subscriber:
        subscriber = self.subscribers.get(order.subscription_ref)
        if subscriber is None:
            raise _Refused(
                "UNKNOWN_SUBSCRIPTION",
                f"Subscription {order.subscription_ref} is not registered. "
                "Apply the order that adds it first.",
            )
        return subscriber

    def _active(self, order: Order) -> tuple[Subscriber, Span, Span]:
        """Give the subscription, its offering and its payer, if nothing later stands in the way."""
        subscriber = self._known(order)
        offering, payer = subscriber.last(OFFERING), subscriber.last(ACCOUNT)
        if offering is None or payer is None or offering.end is not None or payer.end is not None:
            raise _Refused("NOT_ACTIVE", f"Subscription {subscriber.ref} has ended.")
        if any(span.start > order.effective_at for span in subscriber.spans):
            raise _Refused(
                "OUT_OF_ORDER",
                f"A later change of subscription {subscriber.ref} has been applied already. "
                "What has been applied is not rewritten; send an order from that instant on.",
            )
        return subscriber, offering, payer

    def _check_free(
        self, ref: str, numbers: Mapping[str, int], start: int, end: int | None
    ) -> None:
        """Refuse a number that somebody has in [start, end)."""
        for kind, value in numbers.items():
            for span in self.holders.get((kind, value), ()):
                if span.overlaps(start, end):
                    raise _Refused(
                        "NUMBER_IN_USE",
                        f"{kind.upper()} {value} belongs to {span.subscription_ref} at that time, "
                        f"so {ref} cannot have it.",
                    )

    def _check_new(self, row: SubscriptionRecord, known: Subscriber | None) -> None:
        """Refuse a row about a subscription that is registered, or with a number in use."""
        if known:
            raise _Refused(
                "SUBSCRIPTION_DIFFERS",
                f"Subscription {known.ref} is registered with other numbers, offering, payer "
                "or time. Send the change as an order.",
            )
        self._check_free(row.subscription_ref, row.numbers, row.valid_from, row.valid_to)

    def _account(self, ref: str, customer: Customer | None, segment: str) -> Account:
        """Give the account that a row names, new or known, when all it says of it is true."""
        known = self.accounts.get(ref)
        if known is None and (customer is None or not segment):
            raise _Refused(
                "UNKNOWN_ACCOUNT", f"Account {ref!r} is new; its customer and segment are missing."
            )
        if known and customer and known.customer_no != customer.customer_no:
            raise _Refused(
                "ACCOUNT_OF_ANOTHER",
                f"Account {ref} belongs to customer {known.customer_no}, "
                f"not {customer.customer_no}.",
            )
        if known and segment and known.segment != segment:
            raise _Refused("ACCOUNT_DIFFERS", f"Account {ref} is of segment {known.segment}.")
        registered = self.customers.get(customer.customer_no) if customer else None
        if registered and customer:
            for what in _IDENTITY:
                if getattr(registered, what) != getattr(customer, what):
                    raise _Refused(
                        "CUSTOMER_DIFFERS",
                        f"Customer {customer.customer_no} is registered with another {what}.",
                    )
        return known or Account(ref, customer.customer_no if customer else "", segment)

    def _keep(self, account: Account, customer: Customer | None) -> None:
        """Put the account and its customer in the register where they are new."""
        self.accounts.setdefault(account.ref, account)
        if customer and customer.customer_no == account.customer_no:
            self.customers.setdefault(customer.customer_no, customer)

    def _kept(self, order: Order) -> str:
        """Say so when the customer is registered with other particulars than the order's."""
        said = order.customer
        if said is None or self.customers.get(said.customer_no, said) == said:
            return ""
        return (
            f"Customer {said.customer_no} stays as registered; the order gives another name, "
            "address or e-mail."
        )

    def _subscriber(self, ref: str) -> Subscriber:
        return self.subscribers.setdefault(ref, Subscriber(ref))

    def _replace(
        self, of: Subscriber, what: str, value: int | str, at: int, agreed: int | None = None
    ) -> None:
        """End what holds and let another begin at the same instant; the same goes on unbroken."""
        now = of.last(what)
        if now and now.end is None:
            if now.value == value and agreed in {None, now.agreed_price_micro}:
                return
            now.end, now.ended_here = at, True
        self._open(of, what, value, at, agreed=agreed)

    def _open(
        self,
        of: Subscriber,
        what: str,
        value: int | str,
        start: int,
        end: int | None = None,
        agreed: int | None = None,
    ) -> None:
        self.hold(Span(of.ref, what, value, start, end, agreed_price_micro=agreed))


def _began_with(
    known: Subscriber, wanted: Mapping[str, int | str], row: SubscriptionRecord
) -> bool:
    """Tell whether a subscription began with just this; orders may have ended it since."""
    return all(
        any(
            span.what == what and span.value == value and span.start == row.valid_from
            and row.valid_to in {None, span.end}
            for span in known.spans
        )
        for what, value in wanted.items()
    )  # fmt: skip


def _unnamed_customer(account_ref: str, segment: str) -> Customer:
    """Stand in for the customer of an account that a list of subscriptions names without one."""
    kind = "organisation" if segment == "business" else "person"
    return Customer(customer_no=account_ref, kind=kind, name=account_ref)
