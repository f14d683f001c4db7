"""The keyword taxonomy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastemaker.events.adapters.taxonomy import FALLBACK, categorise


@pytest.mark.parametrize(
    ("title", "category"),
    [
        ("White Hanging Heart T-Light Holder", ("Lighting", "Candle & t-light holders")),
        ("Red Retrospot Lunch Bag", ("Bags", "Lunch bags & boxes")),
        ("Jumbo Bag Red Retrospot", ("Bags", "Jumbo & storage bags")),
        ("Regency Cakestand 3 Tier", ("Kitchen", "Cake stands")),
        ("Set of 60 Pantry Design Cake Cases", ("Kitchen", "Baking & cake cases")),
        ("Vintage Red Mug", ("Kitchen", "Mugs & cups")),
        ("Egg Cup Milkmaid Ingrid", ("Kitchen", "Egg cups & holders")),
        ("Hot Water Bottle Babushka", ("Home", "Hot water bottles & warmers")),
        ("Jigsaw Toadstools 3 Piece", ("Toys", "Games & puzzles")),
        ("Amber Drop Earrings with Long Beads", ("Jewellery", "Earrings")),
        ("Birthday Card, Retro Spot", ("Stationery", "Cards & invitations")),
        ("Paper Bunting Retrospot", ("Party", "Bunting & garlands")),
    ],
)
def test_a_title_is_found_on_its_shelf(title, category):
    assert categorise(title) == category


def test_the_season_comes_before_the_form():
    assert categorise("Christmas Craft Mug")[0] == "Christmas"


def test_a_keyword_inside_another_word_does_not_count():
    assert categorise("Ping Microwave Design") == FALLBACK  # neither "ring" nor "sign"


@pytest.mark.parametrize("title", ["", "Frosted White Base", "20713"])
def test_a_title_without_a_keyword_gets_the_fallback(title):
    assert categorise(title) == FALLBACK


@given(st.text(max_size=60))
def test_every_title_has_a_department_and_a_shelf_whatever_its_case(title):
    department, shelf = categorise(title)

    assert department
    assert shelf
    if title.isascii():  # case folding beyond ASCII can change letters, as in ß and SS
        assert categorise(title.upper()) == categorise(title.lower())
