"""``tastemaker recommend batch`` on a small shop: lists of a real release, as the recommender makes them."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tastemaker.batch.opening import open_for_batch
from tastemaker.cli.app import app
from tastemaker.errors import DataError
from tastemaker.promotion.gate import decide
from tastemaker.promotion.hashing import hash_tree
from tastemaker.promotion.releases import ReleaseRegistry
from tastemaker.serving.contract import RecommendationRequest
from tastemaker.serving.recipes import load_recipes
from tastemaker.serving.rerank.rule_log import rules_path
from tastemaker.serving.rerank.rule_watch import RuleWatch
from tests.contract.served_release import CUT, small_release
from tests.unit.promotion.gate_evidence import NOW, evidence, policy


@pytest.fixture(scope="module")
def release() -> str:
    """Id of the registered release of the small shop."""
    settings, directory = small_release()
    found = evidence(release="batch-1", files=hash_tree(directory))
    ReleaseRegistry(settings).register(directory, found, decide(policy(), found, now=NOW))
    return "batch-1"


def run(*words: str):
    settings, _ = small_release()
    return CliRunner().invoke(app, ["recommend", "batch", *words], env=settings.to_env(), catch_exceptions=False)


def lists(out: Path) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for row in pq.read_table(out).to_pylist():
        found.setdefault(row["user_id"], []).append(row)
    return found


@pytest.mark.slow
def test_every_user_gets_the_list_that_the_recommender_makes(tmp_path, release):
    out = tmp_path / "lists.parquet"
    done = run("--out", str(out), "--release", release, "--k", "5", "--part-users", "16")
    assert done.exit_code == 0, done.output
    assert "40 lists (40 full)" in done.output
    found = lists(out)
    assert sorted(found) == sorted(f"u{number}" for number in range(40))
    told = json.loads(pq.read_schema(out).metadata[b"tastemaker.batch"])
    assert (told["release"], told["surface"], told["k"], told["users"]) == (release, "email", 5, 40)
    settings, directory = small_release()
    recommender = open_for_batch(
        settings, directory, load_recipes()["email"], RuleWatch(rules_path(settings.home)), found["u7"][0]["served_at"]
    )
    for user in ("u0", "u7", "u39"):
        response, _ = recommender.recommend(RecommendationRequest(surface="email", user=user, k=5))
        assert [row["item_id"] for row in found[user]] == [shown.item_id for shown in response.items]
        assert [row["rank"] for row in found[user]] == [1, 2, 3, 4, 5]
        assert [row["score"] for row in found[user]] == pytest.approx([shown.score for shown in response.items])
        assert [row["reason"] for row in found[user]] == [shown.reason for shown in response.items]
        assert len({row["request_id"] for row in found[user]}) == 1
    assert abs((found["u0"][0]["served_at"] - CUT).total_seconds()) < 86_400  # the platform's time, not the machine's
    again = run("--out", str(out), "--release", release, "--k", "5", "--resume")
    assert "40 of them by an earlier run" in again.output
    with pytest.raises(DataError, match="cannot be resumed: the length of a list was 5 and is 6"):
        run("--out", str(out), "--release", release, "--k", "6", "--resume")


@pytest.mark.slow
def test_users_of_a_file_who_are_not_known_get_what_is_popular(tmp_path, release):
    import pyarrow as pa

    pq.write_table(pa.table({"user_id": ["u7", "stranger", "u7"]}), tmp_path / "users.parquet")
    words = ("--surface", "home", "--users", str(tmp_path / "users.parquet"), "--out", str(tmp_path / "out"))
    done = run(*words, "--release", release)
    assert "2 lists (1 cold_start, 1 full)" in done.output
    found = lists(tmp_path / "out" / "part-000000.parquet")
    assert {rows[0]["tier"] for rows in found.values()} == {"full", "cold_start"}
    assert [len(rows) for rows in found.values()] == [10, 10]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--surface", "attic"), "no surface 'attic'; use one of: home"),
        (("--surface", "similar"), "need the items of a page"),
        (("--release", "r9"), "no release 'r9'"),
        (("--users", "gone.parquet"), "no file of users"),
    ],
)
def test_what_will_not_do_is_refused_in_words(tmp_path, release, words, said):
    given = words if "--release" in words else (*words, "--release", release)
    with pytest.raises(DataError, match=said):
        run("--out", str(tmp_path / "out"), *given)
    assert not list(tmp_path.glob("out/part*"))


def test_without_a_champion_the_remedy_is_told(tmp_path, release):
    with pytest.raises(DataError, match="no release is in production yet"):
        run("--out", str(tmp_path / "out"))


def test_the_group_still_has_the_command_of_one_list():
    shown = CliRunner().invoke(app, ["recommend", "--help"])
    assert "--user" in shown.output
    assert "batch" in shown.output
