import pytest

from tastemaker.features.declarations.grammar import Call, GrammarError, parse_function, parse_where
from tastemaker.features.semantics import DAY_US


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("count", Call("count", 0)),
        (" sum ", Call("sum", 0)),
        ("last_n(50)", Call("last_n", 50)),
        ("decayed_count(60d)", Call("decayed_count", 60 * DAY_US)),
        ("decayed_count(12h)", Call("decayed_count", DAY_US // 2)),
    ],
)
def test_parse_function_reads_name_and_argument(text: str, call: Call) -> None:
    assert parse_function(text) == call


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("median", "use count, sum"),
        ("", "use count, sum"),
        ("last_n", "such as last_n(50)"),
        ("last_n(0)", "from 1 to 1000"),
        ("last_n(5d)", "such as last_n(50)"),
        ("decayed_count", "such as decayed_count(60d)"),
        ("decayed_count(60)", "such as decayed_count(60d)"),
        ("decayed_count(0d)", "needs a half-life"),
        ("count(7)", "declared with time_window"),
    ],
)
def test_parse_function_names_the_remedy(text: str, remedy: str) -> None:
    with pytest.raises(GrammarError) as caught:
        parse_function(text)
    assert remedy in str(caught.value)


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ("type = 'purchase'", ("purchase",)),
        ("TYPE='view'", ("view",)),
        ("type in ('view', 'cart_add', 'view')", ("cart_add", "view")),
        ("type IN ('return',)", ("return",)),
    ],
)
def test_parse_where_gives_sorted_types(text: str, types: tuple[str, ...]) -> None:
    assert parse_where(text) == types


def test_parse_where_of_nothing_is_every_type() -> None:
    assert {"purchase", "impression", "search"} <= set(parse_where(""))


@pytest.mark.parametrize(
    "text", ["type = purchase", "value > 3", "type in ()", "type = 'a' or type = 'b'", "type != 'view'"]
)
def test_parse_where_refuses_other_conditions(text: str) -> None:
    with pytest.raises(GrammarError, match="write type = 'purchase'"):
        parse_where(text)


def test_parse_where_names_an_unknown_type() -> None:
    with pytest.raises(GrammarError, match="names 'buy'; event types are"):
        parse_where("type = 'buy'")
