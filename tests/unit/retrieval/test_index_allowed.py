import numpy as np
import pytest

from tastemaker.errors import DataError
from tastemaker.retrieval.allowed import Allowed


def rows(*values):
    return np.array(values, dtype=np.int64)


def test_what_a_mask_allows_is_counted_listed_and_packed():
    allowed = Allowed(np.array([1, 0, 1, 1, 0, 0, 0, 0, 0, 1], dtype=np.bool_))
    assert allowed.count == 4
    assert allowed.rows.tolist() == [0, 2, 3, 9]
    # Rows 0, 2, 3: 1 + 4 + 8; row 9 is the second of the next byte.
    assert allowed.bits(10).tolist() == [13, 2]


def test_bits_are_as_many_as_the_index_has_rows():
    allowed = Allowed(np.ones(8, dtype=np.bool_))
    assert allowed.bits(17).tolist() == [255, 0, 0]  # what the mask does not know is not allowed
    assert Allowed(np.ones(24, dtype=np.bool_)).bits(8).tolist() == [255]


def test_a_shopper_own_rows_are_taken_away_without_a_copy_of_the_mask():
    shared = Allowed(np.array([True, False, True, True]))
    bits = shared.bits(4)
    own = shared.but(rows(2, 1)).but(rows(0))  # 1 was not allowed anyway
    assert (own.count, own.rows.tolist(), own.bits(4).tolist()) == (1, [3], [8])
    assert own.mask is shared.mask
    assert own.shared is shared.shared
    assert shared.count == 3
    assert shared.bits(4).tolist() == bits.tolist()
    assert shared.but(rows()) is shared


def test_rows_that_the_mask_does_not_know_are_not_allowed():
    allowed = Allowed(np.array([True, False, True])).but(rows(2, 70))
    assert allowed.of(rows(0, 1, 2, 3, 70)).tolist() == [True, False, False, False, False]
    assert allowed.count == 1


def test_only_some_rows():
    assert Allowed.only(rows(4, 1), 6).rows.tolist() == [1, 4]
    assert Allowed.only(rows(), 6).count == 0


@pytest.mark.parametrize("mask", [np.ones(3, dtype=np.int64), np.ones((2, 2), dtype=np.bool_)])
def test_what_is_no_mask_of_rows_is_refused(mask):
    with pytest.raises(DataError, match="mask of rows is bool"):
        Allowed(mask)
