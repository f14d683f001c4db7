from hypothesis import given
from hypothesis import strategies as st

from tastemaker.features.keys import join_key, prefix_range, split_key

# The separator and the escape character themselves, their neighbours, and anything else.
IDS = st.text(
    st.one_of(st.sampled_from("\x00\x1b\x1f\x1e\x20012"), st.characters(codec="utf-8")), min_size=1, max_size=6
)
PAIRS = st.tuples(IDS, IDS)


@given(st.lists(IDS, min_size=1, max_size=3).map(tuple))
def test_split_key_undoes_join_key(ids: tuple[str, ...]) -> None:
    assert split_key(join_key(ids)) == ids


@given(PAIRS, PAIRS)
def test_different_ids_have_different_keys(left: tuple[str, str], right: tuple[str, str]) -> None:
    assert (join_key(left) == join_key(right)) == (left == right)


@given(PAIRS, IDS)
def test_prefix_range_holds_the_keys_of_its_first_id_only(pair: tuple[str, str], first: str) -> None:
    start, end = (text.encode() for text in prefix_range(first))
    assert (start <= join_key(pair).encode() < end) == (pair[0] == first)
