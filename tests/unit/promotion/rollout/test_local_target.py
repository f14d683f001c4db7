"""The local target writes a pointer, and believes the recommender alone."""

from datetime import UTC, datetime

import pytest

from tastemaker.clock import wall_us
from tastemaker.errors import DataError, RolloutError
from tastemaker.promotion.champion import Champion, write_champion
from tastemaker.promotion.rollout.local_target import LocalTarget, ask_recommender
from tastemaker.promotion.rollout.target import Split
from tastemaker.release.split import SPLIT_NAME, assigned, read_split, split_in_force
from tastemaker.settings import Settings

TRIED = Split("r1", "r2", 0.25)


@pytest.fixture
def settings(tmp_path):
    settings = Settings(home=tmp_path)
    settings.releases_dir.mkdir(parents=True)
    promote(settings, "r1")
    return settings


def promote(settings, release: str) -> None:
    write_champion(
        settings.releases_dir,
        Champion(release=release, bento=f"recommender:{release}", promoted_at=datetime(2026, 3, 1, tzinfo=UTC)),
    )


class Following:
    """A recommender that follows the files after a few looks."""

    def __init__(self, settings, after: int = 2) -> None:
        self.settings, self.left, self.told = settings, after, {"release": "r1"}
        self.asked = 0

    def __call__(self):
        self.asked += 1
        self.left -= 1
        if self.left <= 0:
            split = split_in_force(self.settings.releases_dir, wall_us())
            trial = split and {
                "candidate": split.candidate,
                "state": "on",
                "share": split.share,
                "shadow": split.shadow,
            }
            self.told = {"release": "r1", "trial": trial}
        return self.told


def test_it_returns_when_the_recommender_follows_and_not_before(settings):
    following = Following(settings, after=3)
    target = LocalTarget(settings, following)
    target.apply(TRIED)
    assert following.asked == 3
    assert target.read() == TRIED
    following.left = 2
    target.apply(Split("r1"))
    assert target.read() == Split("r1")
    assert not (settings.releases_dir / SPLIT_NAME).exists()


def test_applying_again_prolongs_the_lease_and_without_it_the_split_ends(settings):
    target = LocalTarget(settings, Following(settings, after=0), lease_s=100.0)
    target.apply(TRIED)
    first = read_split(settings.releases_dir).until_us
    target.apply(TRIED)
    again = read_split(settings.releases_dir).until_us
    assert again > first
    assert split_in_force(settings.releases_dir, again - 1) is not None
    assert split_in_force(settings.releases_dir, again) is None


def test_a_promotion_ends_a_split_by_itself(settings):
    LocalTarget(settings, Following(settings, after=0)).apply(TRIED)
    promote(settings, "r2")
    assert split_in_force(settings.releases_dir, wall_us()) is None


def test_a_candidate_that_fails_to_load_is_told_at_once(settings):
    trial = {"candidate": "r2", "state": "failed", "share": 0.25, "shadow": False, "problem": "no ranker"}
    target = LocalTarget(settings, lambda: {"release": "r1", "trial": trial})
    with pytest.raises(RolloutError, match="cannot load r2: no ranker"):
        target.apply(TRIED)


def test_a_recommender_that_does_not_follow_is_told(settings):
    target = LocalTarget(settings, lambda: {"release": "r1"}, loading_s=0.0, patience_s=0.0)
    with pytest.raises(RolloutError, match="does not follow"):
        target.apply(TRIED)


def test_where_nothing_listens_going_back_is_done_and_going_on_is_not(settings):
    target = LocalTarget(settings, lambda: None, loading_s=0.0)
    target.apply(Split("r1"))
    with pytest.raises(RolloutError, match="nothing listens"):
        target.apply(TRIED)
    with pytest.raises(RolloutError, match="tastemaker up"):
        target.read()


def test_what_another_process_took_back_is_not_waited_for(settings):
    def ask():
        (settings.releases_dir / SPLIT_NAME).unlink(missing_ok=True)
        return {"release": "r1"}

    with pytest.raises(RolloutError, match="taken back"):
        LocalTarget(settings, ask).apply(TRIED)


def test_a_split_of_a_former_champion_is_refused(settings):
    with pytest.raises(RolloutError, match="r1 is the champion, not r9"):
        LocalTarget(settings, lambda: {"release": "r1"}).apply(Split("r9", "r2", 0.5))


def test_without_a_champion_nothing_is_deployed(tmp_path):
    assert LocalTarget(Settings(home=tmp_path / "new"), lambda: None).read() is None


def test_a_damaged_pointer_says_what_to_do(settings):
    (settings.releases_dir / SPLIT_NAME).write_text("{")
    with pytest.raises(DataError, match="tastemaker rollout abort"):
        split_in_force(settings.releases_dir, 0)


def test_nothing_listens_at_a_closed_port(settings):
    assert ask_recommender(settings.model_copy(update={"recommender_port": 1})) is None


@pytest.mark.parametrize(
    ("share", "candidate", "shadow"), [(1.5, "r2", False), (-0.1, "r2", False), (0.5, None, False), (0.0, None, True)]
)
def test_an_impossible_split_is_refused(share, candidate, shadow):
    with pytest.raises(ValueError, match=r"share|candidate"):
        Split("r1", candidate, share, shadow)


def test_shares_hold_and_candidates_are_tried_on_different_shoppers():
    users = [f"u{n}" for n in range(20_000)]
    of = {name: {u for u in users if assigned(name, u, None, 0.05)} for name in ("r2", "r3")}
    # 1,000 expected, with a standard deviation of 31; in both 50, with one of 7.
    assert all(850 < len(found) < 1_150 for found in of.values())
    assert len(of["r2"] & of["r3"]) < 90
    assert assigned("r2", "x", None, 0.5) == assigned("r2", "x", "any visit", 0.5)
