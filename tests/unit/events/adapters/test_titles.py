"""Readable titles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastemaker.events.adapters.titles import readable


@pytest.mark.parametrize(
    ("description", "title"),
    [
        ("WHITE HANGING HEART T-LIGHT HOLDER", "White Hanging Heart T-Light Holder"),
        ("SET OF 3 CAKE TINS PANTRY DESIGN ", "Set of 3 Cake Tins Pantry Design"),
        ("SET/6 RED SPOTTY PAPER PLATES", "Set of 6 Red Spotty Paper Plates"),
        ("S/4 VALENTINE DECOUPAGE HEART BOX", "Set of 4 Valentine Decoupage Heart Box"),
        ("ROUND SNACK BOXES SET OF4 WOODLAND ", "Round Snack Boxes Set of 4 Woodland"),
        ("PAPER CRAFT , LITTLE BIRDIE", "Paper Craft, Little Birdie"),
        ("GREETING CARD,SQUARE, DOUGHNUTS", "Greeting Card, Square, Doughnuts"),
        ("WRAP  VINTAGE DOILY ", "Wrap Vintage Doily"),
        ("BAG 125g SWIRLY MARBLES", "Bag 125g Swirly Marbles"),
        ("THE KING GIFT BAG 25x24x12cm", "The King Gift Bag 25x24x12cm"),
        ("POLYESTER FILLER PAD 40x40cm", "Polyester Filler Pad 40x40cm"),
        ("PINK/WHITE CHRISTMAS TREE 30CM", "Pink/White Christmas Tree 30cm"),
        ("3 TRADITIONAl BISCUIT CUTTERS  SET", "3 Traditional Biscuit Cutters Set"),
        ("CHILDREN'S SPACEBOY MUG", "Children's Spaceboy Mug"),
        ("3D CHRISTMAS STAMPS STICKERS ", "3D Christmas Stamps Stickers"),
        ("RED TOADSTOOL LED NIGHT LIGHT", "Red Toadstool LED Night Light"),
        ("SMOKEY GREY COLOUR D.O.F. GLASS", "Smokey Grey Colour D.O.F. Glass"),
        ('LETTER "K" BLING KEY RING', 'Letter "K" Bling Key Ring'),
        ("CHARLIE+LOLA PINK HOT WATER BOTTLE", "Charlie+Lola Pink Hot Water Bottle"),
        ("HOME BUILDING BLOCK WORD", "Home Building Block Word"),
    ],
)
def test_a_stock_description_becomes_a_title(description, title):
    assert readable(description) == title


def test_abbreviations_are_spelled_out():
    assert readable("EARRINGS W/ASSTD BEADS", {"ASSTD": "Assorted"}) == "Earrings with Assorted Beads"


@given(st.text(st.sampled_from("ABCXYZ019 ,./-&'\"()+"), max_size=40))
def test_a_title_has_single_spaces_and_loses_no_letter_or_digit(description):
    title = readable(description)

    assert title == " ".join(title.split())

    def kept(text: str) -> list[str]:
        return sorted(character for character in text.upper() if character.isalnum())

    # Only "SET/6", "S/4" and "W/" are rewritten, and neither S nor W is among these letters.
    assert kept(title) == kept(description)
