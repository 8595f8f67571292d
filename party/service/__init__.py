"""The party room's verbs. Each takes a session, none commits; only these write its tables."""

from party.orders import Outcome
from party.service.changing import apply_orders, register_subscriptions
from party.service.customers import (
    AccountOfCustomer,
    CustomerFacts,
    CustomerNotFound,
    CustomerRow,
    SubscriptionOfCustomer,
    customer,
    customer_by_number,
    search_customers,
)
from party.service.framing import AgreementsOn, agreements_on, register_agreements
from party.service.reading import (
    NOT_AGREED,
    ActiveIntervals,
    BillingAccountFacts,
    OrderCharge,
    SubscriptionIn,
    active_intervals,
    billing_accounts,
    load_agreements,
    offerings_begun,
    order_charges,
    parties_of_numbers,
    party_labels,
    subscription_in,
    subscription_labels,
)

__all__ = [
    "NOT_AGREED",
    "AccountOfCustomer",
    "ActiveIntervals",
    "AgreementsOn",
    "BillingAccountFacts",
    "CustomerFacts",
    "CustomerNotFound",
    "CustomerRow",
    "OrderCharge",
    "Outcome",
    "SubscriptionIn",
    "SubscriptionOfCustomer",
    "active_intervals",
    "agreements_on",
    "apply_orders",
    "billing_accounts",
    "customer",
    "customer_by_number",
    "load_agreements",
    "offerings_begun",
    "order_charges",
    "parties_of_numbers",
    "party_labels",
    "register_agreements",
    "register_subscriptions",
    "search_customers",
    "subscription_in",
    "subscription_labels",
]
