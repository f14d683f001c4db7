"""Numbers of the log: packed and unpacked to the same bits, whatever they are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tastemaker.serving.replay.packing import pack, unpack

MATRICES = st.tuples(st.integers(1, 20), st.integers(0, 12)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.floats(width=32, allow_nan=True))
)


@given(MATRICES)
def test_every_matrix_comes_back_bit_by_bit(matrix: np.ndarray) -> None:
    packed = pack(matrix)
    found = unpack(packed, *matrix.shape)
    assert found.flags.c_contiguous
    assert found.view(np.uint32).tolist() == matrix.view(np.uint32).tolist()
    assert len(packed) <= 2 + 4 * matrix.size  # flags of 12 columns, and all values


def test_a_column_of_one_value_is_written_once() -> None:
    matrix = np.zeros((100, 9), dtype=np.float32)
    matrix[:, 3] = np.arange(100)
    # 9 flags take 2 bytes; 8 columns are constant, one is written out.
    assert len(pack(matrix)) == 2 + 4 * (8 + 100)


def test_negative_zero_and_unknown_values_are_kept_apart() -> None:
    found = unpack(pack(np.array([[0.0, np.nan], [-0.0, np.nan]], dtype=np.float32)), 2, 2)
    assert np.signbit(found[:, 0]).tolist() == [False, True]
    assert np.isnan(found[:, 1]).all()


@pytest.mark.parametrize("packed", [b"", b"\x00", pack(np.ones((3, 4), dtype=np.float32)) + b"\x00" * 4])
def test_bytes_of_another_shape_are_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match="do not hold"):
        unpack(packed, 3, 9)
