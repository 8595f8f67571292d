"""Fields and arguments that every room's REST resources share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import (
    Schema,
    ValidationError,
    fields,
    pre_load,
    validate,
    validates_schema,
)

from ledger.errors import Invalid
from ledger.money import format_amount, parse_amount
from ledger.refusals import AmountNotAString
from ledger.unstorable import NumberTooLarge
from ledger.web.gate import require_book_access
from ledger.web.problems import Refusal

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class Whole(validate.Validator):
    """A text is of a form from its first character to its last, newline and all, in ASCII digits.

    `$` alone lets a newline pass at the end; Python's own anchor would tell readers of the API's
    description nothing, so the form is written with `$` and held against the whole text.
    """

    def __init__(self, form: str) -> None:
        self.regex = re.compile(form, re.ASCII)  # Read from here by the API's description too.

    def __call__(self, value: str) -> str:
        """Give the text back, or refuse it with `ValidationError`."""
        if self.regex.fullmatch(value) is None:
            raise ValidationError("String does not match expected pattern.")
        return value


class Day(fields.Date):
    """A day as 2026-03-31, in a request by itself as in a batch or a file.

    Python's own reader takes every way of ISO 8601, such as a day of a week: 2026-W14-2.
    """

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, str) and _DAY.fullmatch(value) is None:
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE)
        return super()._deserialize(value, *args, **kwargs)


class Money(fields.Field[int]):
    """An amount: int minor units within, a string of decimal kroner on the wire.

    A JSON number is refused with a problem of its own: it has been a float somewhere.
    """

    def __init__(self, **kwargs: Any) -> None:
        metadata = {
            "description": 'Decimal amount with at most two decimals, as a string: "1234.50".',
            "pattern": r"^-?[0-9]{1,15}(\.[0-9]{1,2})?$",
            "example": "1234.50",
        }
        super().__init__(metadata=metadata | kwargs.pop("metadata", {}), **kwargs)

    def _serialize(
        self, value: int | None, attr: str | None, obj: Any, **_kwargs: Any
    ) -> str | None:
        del attr, obj
        return None if value is None else format_amount(int(value))

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **_kwargs: Any
    ) -> int:
        del data
        if isinstance(value, int | float):
            raise ValidationError(Refusal(AmountNotAString(
                'Amounts are strings such as "1234.50", not JSON numbers: '
                f"put {attr or 'the amount'} in quotes.",
                field=attr,
            )))  # fmt: skip
        try:
            return parse_amount(value)
        except NumberTooLarge as refusal:
            raise ValidationError(Refusal(refusal)) from refusal
        except Invalid as refusal:
            raise ValidationError(str(refusal)) from refusal


DEFAULT_BOOK = "NO01"


class BookSchema(Schema):
    """The legal entity whose books are meant; refused to whom it is not open."""

    book = fields.String(
        load_default=DEFAULT_BOOK, validate=validate.Length(1, 16), metadata={"example": "NO01"}
    )

    @pre_load
    def _refuse_other_books(self, sent: Any, **_kwargs: Any) -> Any:
        """Refuse before anything else is said of the request; what is no code is refused later."""
        book = sent.get("book", DEFAULT_BOOK) if isinstance(sent, Mapping) else None
        if isinstance(book, str):
            require_book_access(book)
        return sent

    @validates_schema
    def _refuse_the_book_meant(self, loaded: dict[str, Any], **_kwargs: Any) -> None:
        """Refuse by what was read, however it was sent: left out, the first book is meant.

        A query says of what it lacks that it is `missing`, which is no text and no default either.
        """
        require_book_access(loaded["book"])


class AsOfSchema(BookSchema):
    """The day that balances, lists and reports are wanted for; left out, everything posted."""

    effective_as_of = Day(
        load_default=None,
        metadata={"description": "Only what is effective on or before this day, YYYY-MM-DD."},
    )


def conditions_field(example: dict[str, Any]) -> fields.List[Any]:
    """Make the field in which a post says what it believes of the books."""
    return fields.List(
        fields.Dict(),
        load_default=None,
        allow_none=True,
        metadata={
            "description": "What the books must be like just before; 412 says what they are like. "
            "docs/posting.md has the kinds.",
            "example": [example],
        },
    )


class IdempotencyKeySchema(Schema):
    """The caller's own name of a change: the same key never does it twice."""

    key = fields.String(
        required=True,
        data_key="Idempotency-Key",
        validate=validate.Length(1, 200),
        metadata={"description": "Any text of at most 200 characters, unique per change."},
    )
