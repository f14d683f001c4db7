"""Content of items as numbers, and what is chosen for the data."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tastemaker.errors import DataError
from tastemaker.models.histories import Histories
from tastemaker.models.two_tower.configuration import configure
from tastemaker.models.two_tower.content import ContentFacts, content_scale, encode_content
from tastemaker.models.two_tower.item_table import facts_of_table
from tastemaker.models.two_tower.parameters import TowerParameters


def _facts(columns: dict[str, Any]) -> ContentFacts:
    facts = facts_of_table(pa.table(columns))
    assert facts is not None
    return facts


def test_new_items_are_read_as_the_known_ones_were() -> None:
    known = _facts({"title": ["A b", "b C", None], "category": ["x/y", "x/z", ""], "price": [0.0, np.e - 1, None]})
    scale = content_scale(known, None, 0.0)
    content = encode_content(known, scale)
    assert content.tokens[0, 1] == content.tokens[1, 0] > 0  # the same word, whatever its case
    assert (content.tokens[2] == 0).all()
    assert content.categories[0, 0] == content.categories[1, 0]  # the parent is shared
    assert content.categories[0, 1] != content.categories[1, 1]
    # log(1 + price) is 0 and 1: mean 1/2, spread 1/2.
    np.testing.assert_allclose(content.numbers[:, :2], [[-1, 1], [1, 1], [0, 0]], atol=1e-6)
    fresh = encode_content(_facts({"price": [np.e**2 - 1]}), scale)
    np.testing.assert_allclose(fresh.numbers[0, :2], [3, 1], atol=1e-6)  # (2 - 1/2) / (1/2)
    assert fresh.vector.shape == (1, 0)


def test_ages_count_from_the_newest_interaction() -> None:
    moments = pa.array([datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC), None])
    now = datetime(2024, 1, 2, tzinfo=UTC).timestamp() * 1e6
    items = _facts({"created_at": moments})
    scale = content_scale(items, now, 86_400e6)
    numbers = encode_content(items, scale).numbers
    # log(1 + age in days) is log 2 and 0: standardised 1 and -1; unknown is 0.
    np.testing.assert_allclose(numbers[:, 2:], [[1, 1], [-1, 1], [0, 0]], atol=1e-6)


def test_vectors_from_outside_get_unit_length_and_one_width() -> None:
    items = _facts({"vector": [[3.0, 4.0], None, [0.0, 2.0]]})
    scale = content_scale(items, None, 0.0)
    np.testing.assert_allclose(encode_content(items, scale).vector, [[0.6, 0.8], [0, 0], [0, 1]], atol=1e-6)
    with pytest.raises(DataError, match="length 3"):
        encode_content(_facts({"vector": [[1.0, 2.0, 3.0]]}), scale)
    with pytest.raises(DataError, match="lengths"):
        _facts({"vector": [[1.0, 2.0, 3.0], [1.0]]})


def test_items_with_nothing_known_have_no_content() -> None:
    assert facts_of_table(pa.table({"item_id": [1, 2]})) is None


def test_a_price_that_is_no_number_is_named() -> None:
    with pytest.raises(DataError, match="price"):
        _facts({"price": ["cheap"]})


def _histories(times: list[float] | None) -> Histories:
    return Histories.of([0, 0, 0, 1, 1], [0, 1, 2, 0, 1], n_users=2, n_items=3, times=times)


def test_without_times_or_for_sessions_the_mean_is_chosen_and_else_attention() -> None:
    assert configure(_histories(None), {"encoder": "auto"}).encoder == "weighted-mean"
    # Two users with five events are sessions; one with six is a history.
    chosen = configure(_histories([1, 2, 3, 1, 2]), {})
    assert (chosen.encoder, chosen.ordered, chosen.loss) == ("weighted-mean", True, "full")
    longer = Histories.of([0] * 6, [0, 1, 2, 0, 1, 2], n_users=1, n_items=3, times=range(6))
    assert configure(longer, {}).encoder == "transformer"


def test_what_is_given_is_kept() -> None:
    chosen = configure(_histories([1, 2, 3, 1, 2]), {"encoder": "gru", "dropout": 0.0, "dimension": "auto"})
    assert (chosen.encoder, chosen.dropout, chosen.dimension) == ("gru", 0.0, 128)


def test_times_that_are_mere_positions_say_nothing() -> None:
    assert configure(_histories([0, 1, 2, 0, 1]), {}).time_unit == 0.0
    # Steps of 10 and 30 within the first user, 20 within the second: the median is 20.
    assert configure(_histories([0, 10, 40, 5, 25]), {}).time_unit == 20.0


def test_parameters_survive_json_and_unknown_ones_do_not() -> None:
    parameters = TowerParameters(encoder="gru", window=9)
    assert TowerParameters.from_json(parameters.to_json()) == parameters
    with pytest.raises(DataError, match="another version"):
        TowerParameters.from_json({"depth": 1})
