"""What becomes of views when declarations change, also before the change before was completed."""

from tastemaker.features.keys import bucket_of
from tastemaker.features.stores.view_ages import Progress, ViewAges, read_ages


class Metadata(dict[str, str]):
    def get_meta(self, key: str) -> str | None:
        return self.get(key)

    def set_meta(self, key: str, value: str) -> None:
        self[key] = value


def test_replaced_views_become_former_and_new_ones_are_built() -> None:
    after = ViewAges(("a@1", "b@1"), former=("c@0",)).changed_to(["a@1", "b@2"])
    assert after == ViewAges(("a@1",), former=("b@1",), building={"b@2": Progress(0, 0)})
    assert after.live == {"a@1", "b@2"}
    built = after.advanced("b@2", Progress(1, 2))
    assert built.unfinished == {"b@2": Progress(1, 2)}
    assert built.advanced("b@2", Progress(2, 2)) == ViewAges(("a@1", "b@2"), former=("b@1",), building={})


def test_unchanged_declarations_change_nothing() -> None:
    before = ViewAges(("a@1",), former=("a@0",), building={"b@1": Progress(1, 4)})
    assert before.changed_to(["b@1", "a@1"]) is before


def test_change_before_the_last_one_was_completed_keeps_the_former_views() -> None:
    """Releases still read a@1, because nothing was trained with a@2."""
    interrupted = ViewAges((), former=("a@1",), building={"a@2": Progress(1, 4), "b@1": Progress(3, 4)})
    after = interrupted.changed_to(["a@3", "b@1"])
    assert after == ViewAges((), former=("a@1",), building={"a@3": Progress(), "b@1": Progress(3, 4)})


def test_view_that_comes_back_stays_readable_while_it_is_built() -> None:
    after = ViewAges(("a@2",), former=("a@1", "z@1")).changed_to(["a@1"])
    assert after == ViewAges((), former=("a@1", "a@2"), building={"a@1": Progress()})
    assert after.advanced("a@1", Progress(1, 1)) == ViewAges(("a@1",), former=("a@2",), building={})


def test_ages_are_read_as_they_were_written() -> None:
    metadata = Metadata()
    assert read_ages(metadata) is None
    for ages in (
        ViewAges(("a@1", "b@1"), ("c@1",), {"d@1": Progress(3, 64), "e@1": Progress()}),
        ViewAges((), (), {}),
    ):
        ages.write(metadata)
        assert read_ages(metadata) == ages


def test_finished_buckets_include_their_keys() -> None:
    keys = [f"u{number}" for number in range(200)]
    assert not any(Progress().includes(key) for key in keys)
    assert all(Progress(4, 4).includes(key) for key in keys)
    assert [key for key in keys if Progress(1, 4).includes(key)] == [key for key in keys if bucket_of(key) % 4 == 0]


def test_complete_view_is_built_anew_and_read_meanwhile() -> None:
    ages = ViewAges(("a", "b"), former=("old",), building={"c": Progress(1, 3)})
    again = ages.anew(["b", "c", "nowhere"])
    assert again == ViewAges(("a",), ("old", "b"), {"c": Progress(1, 3), "b": Progress()})
    assert again.live == ages.live
    assert again.anew(["b"]) == again  # asking twice begins nothing afresh
    assert again.advanced("b", Progress(1, 1)) == ViewAges(("a", "b"), ("old",), {"c": Progress(1, 3)})
