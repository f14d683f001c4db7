"""What a caller is told when a request cannot be answered: the field, the problem and the remedy."""

from typing import Any, TypeVar

import msgspec

from tastemaker.errors import ContractError

__all__ = ["NO_RELEASE_RETRY_S", "ApiProblem", "convert_query", "decode_json"]

T = TypeVar("T")

_QUOTED = 600

# How soon a caller may try again while the server loads its release.
NO_RELEASE_RETRY_S = 2

_REMEDIES = {
    "surface": "send the name of a surface, such as home; GET /v1/release lists them",
    "items": "send at most 1000 ids of items",
    "category": "send the category's path as text of 1 to 1024 characters, its levels joined with '/'",
    "query": "send the text that was searched for, 1 to 1024 characters",
    "filters": "send categories, price_min, price_max, available and bought, as far as they matter",
    "categories": "send at most 100 category paths, their levels joined with '/'",
    "price_min": "send a number from 0 on",
    "price_max": "send a number from 0 on",
    "available": "send true or false",
    "bought": "send true for what was bought before, false for what was not, or leave the field out",
    "k": "ask for 1 to 100 items",
    "user": "send the shopper's id as text of 1 to 256 characters, or leave the field out",
    "session": "send the visit's id as text of 1 to 256 characters, or leave the field out",
    "exclude": "send at most 1000 ids of items in the catalogue",
}
_GENERAL_REMEDY = "see /docs for the fields of a request and their types"


class ApiProblem(Exception):
    """An answer with a 4xx or 5xx status.

    Attributes:
        status: the HTTP status.
        field: what it is about: a path into the body, a query parameter, a header; ``""`` for the whole request.
        problem: what is wrong.
        remedy: what to do about it.
        retry_after_s: seconds after which the same request may succeed, if waiting helps.
    """

    def __init__(self, status: int, field: str, problem: str, remedy: str, retry_after_s: int | None = None) -> None:
        self.status = status
        self.field = _shortened(field)
        self.problem = _shortened(problem)
        self.remedy = remedy
        self.retry_after_s = retry_after_s
        super().__init__(f"{self.field}: {self.problem}" if self.field else self.problem)

    @classmethod
    def of_contract(cls, error: ContractError) -> "ApiProblem":
        """The problem that a broken contract is, a 422, with the remedy for its field."""
        return cls(422, error.field, error.problem, _remedy(error.field))

    @property
    def headers(self) -> dict[str, str]:
        """The headers that go with it."""
        return {} if self.retry_after_s is None else {"retry-after": str(self.retry_after_s)}


def _shortened(text: str) -> str:
    """What a caller sent may be quoted, but not a megabyte of it; and a lone surrogate cannot be sent at all."""
    text = text if len(text) <= _QUOTED else f"{text[:_QUOTED]}… ({len(text)} characters)"
    return text.encode("utf-8", "backslashreplace").decode()


def _remedy(field: str) -> str:
    name = field.rsplit(".", 1)[-1].split("[", 1)[0]
    return _REMEDIES.get(name, _GENERAL_REMEDY)


def _invalid(error: msgspec.ValidationError, status: int) -> ApiProblem:
    """Read the field out of msgspec's message: ``Expected `int`, got `str` - at `$.instances[1].k` ``."""
    message, _, path = str(error).partition(" - at `$")
    field = path.rstrip("`").lstrip(".")
    for opening, problem in (
        ("Object contains unknown field `", "is not a field of this request"),
        ("Object missing required field `", "is required"),
    ):
        if message.startswith(opening):
            name = message.split("`")[1]
            return ApiProblem(status, f"{field}.{name}" if field else name, problem, _remedy(name))
    return ApiProblem(status, field, message, _remedy(field))


def decode_json(raw: bytes, kind: type[T], invalid_status: int = 422) -> T:
    """Decode a request body.

    Args:
        raw: the JSON.
        kind: the struct that it must be.
        invalid_status: the status for well-formed JSON that breaks the contract.

    Raises:
        ApiProblem: 400 for malformed JSON, ``invalid_status`` naming the field for anything else.
    """
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise _invalid(error, invalid_status) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiProblem(
            400, "body", f"the body is not valid JSON: {error}", "send one JSON object in UTF-8"
        ) from error


def convert_query(values: dict[str, Any], kind: type[T]) -> T:
    """Build a struct from the text of query parameters (``k=5`` becomes a number).

    Raises:
        ApiProblem: 422, naming the parameter.
    """
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(error, 422) from error
