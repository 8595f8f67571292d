"""Cases about allowances: allowance, rollover, usage_discount."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rating.buckets import Served, serve
from rating.cases.fields import Fields
from rating.cases.numbers import Figure, column, decimal_text, exactly, units_for
from rating.cases.rates import (
    Rate,
    Scale,
    instant,
    never,
    price_of,
    read_rates,
    scale_for,
    step_tables,
)
from rating.drawing import NO_CAP, first_come, pay
from rating.pools import (
    ALWAYS,
    NEVER,
    NOT_USED,
    UNDATED,
    Buckets,
    Demands,
    order_of_use,
    pair,
)
from rating.rollover import NO_LIMIT, rolled_over
from rating.rounding import Integers


def serve_allowances(given: Mapping[str, Any]) -> dict[str, Any]:
    """Serve events from buckets and price what is left."""
    fields = Fields(given)
    buckets, events = fields.objects("buckets"), fields.objects("events")
    names = [_name(bucket) for bucket in buckets]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise fields.fault("buckets", f"names {twice[0]} twice")
    rates = read_rates(fields)
    limit = fields.optional("money_limit")
    scale = _scale(buckets, events, rates, limit)
    figures = [_balance(b).scaled(_unit(b, scale)) for b in buckets]
    figures += [_demanded(e, scale) for e in events]
    figures += [_increment(b).scaled(scale.quantity) for b in buckets]
    figures += [limit.scaled(scale.amount)] if limit is not None else []
    dtype: type = np.int64 if not _is_large(rates, scale, figures) else object
    return _Allowances(buckets, events, rates, scale, limit, dtype).result()


class _Allowances:
    """One case in columns: buckets, events, prices; then the outcome in decimals."""

    def __init__(
        self, buckets: Sequence[Fields], events: Sequence[Fields], rates: dict[str, Rate],
        scale: Scale, limit: Figure | None, dtype: type,
    ) -> None:  # fmt: skip
        self.buckets, self.events, self.rates = buckets, events, rates
        self.scale, self.limit, self.dtype = scale, limit, dtype
        self.kinds = ["", *dict.fromkeys(_rate_name(event) for event in events)]
        self.people = list(dict.fromkeys(_subscriber(event) for event in events))
        self.priced = list(rates)
        self.prices = step_tables(list(rates.values()), scale, dtype)
        self.rate = np.array([
            self.priced.index(name) if (name := _rate_name(event)) in rates else -1
            for event in events
        ], np.int64)  # fmt: skip
        self.quantity = self._column(_demanded(event, scale) for event in events)

    def _column(self, values: Any) -> Integers:
        return np.array(list(values), self.dtype)

    def cost(self, rows: np.ndarray, quantity: Integers) -> Integers:
        """Price quantities of events; where there is no price nothing can be paid for."""
        priced = self.rate[rows] >= 0
        amount: Integers = np.zeros(len(rows), self.dtype)
        amount[np.asarray(quantity > 0, np.bool_)] = never(self.dtype)
        amount[priced] = price_of(self.prices, self.rate[rows[priced]], quantity[priced])
        return amount

    def result(self) -> dict[str, Any]:
        """Evaluate the case."""
        served = serve(self._buckets(), self._demands(), self.cost)
        over = self.quantity - served.free
        granted, charge = self._overage(over)
        unpriced = (self.rate < 0) & (over != 0).astype(np.bool_)
        q, m = self.scale.quantity, self.scale.amount
        return {
            "events": [
                {
                    "event": event.value.get("id"),
                    "free_quantity": decimal_text(int(served.free[n]), q),
                    # No price is no amount; never zero.
                    "charge": None if unpriced[n] else decimal_text(int(charge[n]), m),
                    "granted_quantity": decimal_text(int(served.free[n] + granted[n]), q),
                }
                for n, event in enumerate(self.events)
            ],
            "remaining": self._remaining(served),
            "uncovered": decimal_text(int(over.sum()), q),
        }

    def _overage(self, over: Integers) -> tuple[Integers, Integers]:
        """Give what is granted beyond the buckets, and what each event is charged."""
        rows = np.arange(len(over))
        setup = np.zeros_like(self.quantity)
        always = np.zeros(len(over), np.bool_)
        for n, rate in enumerate(self.rates.values()):
            mine = self.rate == n
            setup[mine] = rate.setup.scaled(self.scale.money) * self.scale.per
            always[mine] = rate.setup_always
        size, sign = np.abs(over), np.sign(self.quantity)

        def with_setup(which: np.ndarray, quantity: Integers) -> Integers:
            return self.cost(which, quantity) + np.where(quantity > 0, setup[which], 0)

        granted = size
        if self.limit is not None:
            purse = self._column([self.limit.scaled(self.scale.money) * self.scale.per])
            wanted: Integers = np.where(sign > 0, size, 0).astype(self.dtype)
            bucket = np.zeros(len(over), np.int64)
            paid, _ = pay(wanted, purse, bucket, rows, with_setup)
            granted = np.where(sign > 0, paid, size).astype(self.dtype)
        charge = with_setup(rows, granted)
        fee_alone = always & (granted == 0).astype(np.bool_) & (sign != 0).astype(np.bool_)
        charge[fee_alone] = setup[fee_alone]
        return granted * sign, charge * sign

    def _buckets(self) -> Buckets:
        scale, count = self.scale, len(self.buckets)
        names = [_name(bucket) for bucket in self.buckets]
        expires = np.array([instant(b, "expires", NEVER) for b in self.buckets], np.int64)
        until = np.array([instant(b, "valid_to", NEVER) for b in self.buckets], np.int64)
        priority = [b.number("priority", Figure(0)) for b in self.buckets]
        units = units_for(priority)
        numbers = [p.scaled(units) for p in priority]
        rank = {number: place for place, number in enumerate(sorted(set(numbers)))}
        ranks = np.array([rank[number] for number in numbers], np.int64)
        pool = np.zeros(count, np.int64)
        allowed = [_names(b, "rates") for b in self.buckets]
        usable = [[a is None or kind in a for kind in self.kinds] for a in allowed]
        increment = [_increment(b) for b in self.buckets]
        members = [
            pair(np.array([n]), np.array([self.people.index(who)]))[0]
            for n, bucket in enumerate(self.buckets)
            for who in _names(bucket, "subscribers") or ()
            if who in self.people
        ]
        return Buckets(
            pool=pool,
            balance=self._column(_balance(b).scaled(_unit(b, scale)) for b in self.buckets),
            order=order_of_use(pool, ranks, expires, names),
            money=np.array([_is_money(b) for b in self.buckets], np.bool_),
            valid_from=np.array(
                [instant(b, "valid_from", ALWAYS) for b in self.buckets], np.int64
            ),
            valid_to=np.minimum(until, expires),
            preference=np.where(
                np.array(usable, np.bool_).reshape(count, len(self.kinds)), 0, NOT_USED
            ).astype(np.int32),
            increment=np.repeat(
                self._column(i.scaled(scale.quantity) for i in increment)[:, None],
                len(self.kinds), axis=1,
            ),
            restricted=np.array([b.has("subscribers") for b in self.buckets], np.bool_),
            members=np.sort(np.array(members, np.int64)),
            cap=self._column([NO_CAP] * count),
        )  # fmt: skip

    def _demands(self) -> Demands:
        count = len(self.events)
        return Demands(
            pool=np.zeros(count, np.int64),
            # The list of a case is in order, whatever its instants say.
            start=np.arange(count),
            key=np.arange(count),
            at=np.array([instant(e, "start", UNDATED) for e in self.events], np.int64),
            quantity=self.quantity,
            kind=np.array([self.kinds.index(_rate_name(e)) for e in self.events], np.int32),
            subscriber=np.array([self.people.index(_subscriber(e)) for e in self.events], np.int64),
        )

    def _remaining(self, served: Served) -> dict[str, str]:
        return {
            _name(bucket): decimal_text(int(left), _unit(bucket, self.scale))
            for bucket, left in zip(self.buckets, served.balance.tolist(), strict=True)
        }


def _scale(
    buckets: Sequence[Fields], events: Sequence[Fields],
    rates: dict[str, Rate], limit: Figure | None,
) -> Scale:  # fmt: skip
    quantities = [event.number("quantity") for event in events]
    quantities += [_balance(b) for b in buckets if not _is_money(b)]
    quantities += [_increment(b) for b in buckets]
    amounts = [_balance(b) for b in buckets if _is_money(b)]
    amounts += [limit] if limit is not None else []
    return scale_for(rates.values(), quantities, amounts)


def _is_large(rates: dict[str, Rate], scale: Scale, figures: Sequence[int]) -> bool:
    """Say whether the case needs Python's integers: any sum or price might pass 62 bits."""
    steps = [step for rate in rates.values() for step in rate.steps]
    dearest = max((s.price.scaled(scale.money) for s in steps), default=0) * scale.per
    longest = sum(abs(figure) for figure in figures)
    longest += sum(f.scaled(scale.quantity) for s in steps for f in (s.begin, s.increment))
    fees = sum(rate.setup.scaled(scale.money) for rate in rates.values()) * scale.per
    return (longest + 1) * max(dearest, 1) + fees * (len(figures) + 1) >= 2**60


def _demanded(event: Fields, scale: Scale) -> int:
    """Read a quantity."""
    return event.number("quantity").scaled(scale.quantity)


def _name(bucket: Fields) -> str:
    found = bucket.value.get("id")
    return str(found) if isinstance(found, int) else bucket.text("id")


def _is_money(bucket: Fields) -> bool:
    return bucket.choice("unit", ("quantity", "money"), "quantity") == "money"


def _balance(bucket: Fields) -> Figure:
    return bucket.number("balance")


def _increment(bucket: Fields) -> Figure:
    return bucket.not_negative("increment", Figure(0))


def _unit(bucket: Fields, scale: Scale) -> int:
    return scale.amount if _is_money(bucket) else scale.quantity


def _rate_name(event: Fields) -> str:
    return event.text("rate", "")


def _subscriber(event: Fields) -> str:
    return event.text("subscriber", "")


def _names(bucket: Fields, name: str) -> list[str] | None:
    if not bucket.has(name):
        return None
    found = [value for _, value in bucket.items(name)]
    if not all(isinstance(value, str) for value in found):
        raise bucket.fault(name, "needs a list of names")
    return found


def roll_over(given: Mapping[str, Any]) -> dict[str, Any]:
    """Carry a balance over a reset."""
    fields = Fields(given)
    balance = fields.number("balance_before")
    percent = fields.not_negative("percent", Figure(100)).hundredth()
    least = fields.number("min_rollover", Figure(0))
    most, overage = fields.optional("max_rollover"), fields.number("overage_carried", Figure(0))
    units = units_for([balance, least, overage, *([most] if most is not None else [])])
    per = units_for([percent])

    def kernel(balance: Integers, least: Integers, most: Integers, over: Integers) -> Integers:
        share = np.array([percent.scaled(per)], balance.dtype)
        return rolled_over(balance, share, per, least, most, over)[0]

    after = exactly(
        kernel, [balance.scaled(units)], [least.scaled(units)],
        [NO_LIMIT if most is None else most.scaled(units)], [overage.scaled(units)],
    )  # fmt: skip
    return {"balance_after_reset": decimal_text(int(after[0]), units * per)}


def discount_usage(given: Mapping[str, Any]) -> dict[str, Any]:
    """Take the free quantity that is left off a usage line."""
    fields = Fields(given)
    free = fields.not_negative("free_quantity")
    before, quantity = fields.number("quantity_before", Figure(0)), fields.number("quantity")
    units = units_for([free, before, quantity])
    wanted = [max(f.scaled(units), 0) for f in (before, quantity)]
    # What came before draws first, in event order, on one bucket.
    given_free = first_come(
        column(wanted), column([free.scaled(units)]), np.zeros(2, np.int64)
    )  # fmt: skip
    return {"billable_quantity": decimal_text(quantity.scaled(units) - int(given_free[1]), units)}


KINDS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "allowance": serve_allowances,
    "rollover": roll_over,
    "usage_discount": discount_usage,
}
