"""Content vectors: similar titles are near, one projection serves for ever, the table follows the catalogue."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tastemaker.errors import DataError
from tastemaker.features.content.table import update_content
from tastemaker.features.content.vectors import DIMENSIONS, ContentProjection, fit_projection
from tastemaker.lake.tables import SCHEMAS, Lake

NOW = datetime(2024, 5, 1, tzinfo=UTC)
COLOURS = ("red", "blue", "green", "white")
THINGS = ("tea mug", "lunch bag", "heart decoration", "wooden box")
TITLES = [f"{colour.title()} {thing.title()}" for colour in COLOURS for thing in THINGS]


@pytest.fixture(scope="module")
def projection() -> ContentProjection:
    return fit_projection(TITLES)


def test_vectors_have_length_one_and_similar_titles_are_nearest(projection: ContentProjection) -> None:
    vectors = projection.vectors(TITLES)
    assert vectors.shape == (16, DIMENSIONS)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(16))
    mugs = projection.vectors(["mugs for tea"])[0] @ vectors.T
    assert {TITLES[place] for place in np.argsort(-mugs)[:4]} == {f"{colour.title()} Tea Mug" for colour in COLOURS}


def test_title_of_unknown_parts_is_zero(projection: ContentProjection) -> None:
    assert not projection.vectors(["", "!!!", "Zyxwvut"]).any()


def test_projection_is_the_same_for_the_same_titles_in_any_order(projection: ContentProjection) -> None:
    again = fit_projection([*reversed(TITLES), TITLES[0]])
    assert again.version == projection.version
    assert fit_projection([*TITLES, "Something Else"]).version != projection.version


def test_saved_projection_gives_the_same_vectors(projection: ContentProjection, tmp_path: Path) -> None:
    projection.save(tmp_path / "deep" / "p.npz")
    loaded = ContentProjection.load(tmp_path / "deep" / "p.npz")
    assert loaded is not None
    assert loaded.version == projection.version
    assert np.array_equal(loaded.vectors(TITLES), projection.vectors(TITLES))


def test_no_file_is_no_projection_and_a_broken_one_says_so(tmp_path: Path) -> None:
    assert ContentProjection.load(tmp_path / "none.npz") is None
    (tmp_path / "half.npz").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(DataError, match=r"half\.npz does not read .* delete it"):
        ContentProjection.load(tmp_path / "half.npz")
    np.savez(tmp_path / "small.npz", weights=np.zeros((3, 3)), version=np.array("v"))
    with pytest.raises(DataError, match=r"is of shape \(3, 3\)"):
        ContentProjection.load(tmp_path / "small.npz")


@pytest.mark.parametrize("titles", [["Mug"], ["Mug", "Bag"], ["Mug", "Mug", "Mug"]])
def test_tiny_catalogue_still_gives_vectors(titles: list[str]) -> None:
    vectors = fit_projection(titles).vectors(titles)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(titles)))


def test_titles_without_words_cannot_be_learned_from() -> None:
    with pytest.raises(DataError, match="no product has a title"):
        fit_projection(["", "!?"])


def rows(*items: tuple[str, str, datetime, bool]) -> pa.Table:
    table = [
        {
            "item_id": item_id,
            "title": title,
            "updated_at": at,
            "created_at": at,
            "deleted": deleted,
            "category": [],
            "attributes": "{}",
            "available": True,
            "kafka_partition": -1,
            "kafka_offset": -1,
        }
        for item_id, title, at, deleted in items
    ]
    return pa.Table.from_pylist(table, schema=SCHEMAS["items"])


def stored(lake: Lake) -> list[dict[str, Any]]:
    with lake.connect() as duck:
        return (
            duck.sql("SELECT * FROM item_content ORDER BY created_at, item_id, updated_at").to_arrow_table().to_pylist()
        )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "lake")
    lake.create()
    lake.append(
        "items",
        rows(*((f"i{number}", title, NOW - timedelta(days=9), False) for number, title in enumerate(TITLES))),
        {"test": 0},
    )
    return lake


def test_update_writes_each_version_once(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    first = update_content(lake, path, NOW)
    assert first is not None
    assert (first.written, first.fitted) == (16, True)
    assert update_content(lake, path, NOW) == (first.version, 0, False)
    found = stored(lake)
    assert {row["updated_at"] for row in found} == {NOW - timedelta(days=9)}
    assert {row["created_at"] for row in found} == {NOW}
    assert {len(row["vector"]) for row in found} == {DIMENSIONS}


def test_new_product_is_projected_and_the_projection_stays(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    first = update_content(lake, path, NOW)
    assert first is not None
    later = NOW + timedelta(hours=1)
    changes = rows(("new", "Pink Tea Mug", later, False), ("i0", "Renamed Box", later, False), ("i1", "", later, True))
    lake.append("items", changes, {"test": 1})
    assert update_content(lake, path, later) == (first.version, 2, False)  # not the tombstone
    new = [row for row in stored(lake) if row["created_at"] == later]
    assert [row["item_id"] for row in new] == ["i0", "new"]
    assert {row["content_version"] for row in new} == {first.version}


def test_versions_after_the_moment_stay_out(lake: Lake, tmp_path: Path) -> None:
    lake.append("items", rows(("new", "Pink Tea Mug", NOW + timedelta(days=1), False)), {"test": 1})
    update_content(lake, tmp_path / "p.npz", NOW)
    assert "new" not in {row["item_id"] for row in stored(lake)}


def test_refit_gives_every_version_a_newer_row(lake: Lake, tmp_path: Path) -> None:
    path, later = tmp_path / "p.npz", NOW + timedelta(days=2)
    first = update_content(lake, path, NOW)
    lake.append("items", rows(("new", "Pink Glass Vase", later, False)), {"test": 1})
    second = update_content(lake, path, later, refit=True)
    assert first is not None
    assert second is not None
    assert second.version != first.version
    assert (second.written, second.fitted) == (17, True)
    assert len(stored(lake)) == 16 + 17


def test_title_of_no_words_has_an_empty_vector(lake: Lake, tmp_path: Path) -> None:
    lake.append("items", rows(("dumb", "???", NOW, False)), {"test": 1})
    update_content(lake, tmp_path / "p.npz", NOW)
    assert [row["vector"] for row in stored(lake) if row["item_id"] == "dumb"] == [[]]


def test_empty_catalogue_is_left_alone(tmp_path: Path) -> None:
    assert update_content(Lake(tmp_path / "lake"), tmp_path / "p.npz", NOW) is None
    assert not (tmp_path / "p.npz").exists()
