import numpy as np
import pytest
from gate_evidence import conduct, report

from tastemaker.errors import DataError
from tastemaker.promotion.assess import Assessment
from tastemaker.promotion.findings import Contents, Leaks, ServingLoad, collect_contents, licences_of
from tastemaker.promotion.gathered import gathered, keep_assessment, keep_leaks, quality_figures, ranking_leaks

SHOPPERS, EACH = 200, 20


def _columns(seed=1):
    draw = np.random.default_rng(seed)
    labels = (draw.random(SHOPPERS * EACH) < 0.2).astype(float)
    return {"noise": draw.normal(size=len(labels)), "hint": labels + draw.normal(size=len(labels)) * 2}, labels


def test_a_planted_leak_is_found_among_honest_features():
    columns, labels = _columns()
    tellings, leaks = ranking_leaks(columns, labels, np.repeat(np.arange(SHOPPERS), EACH), seed=1)
    assert [one.feature for one in tellings] == ["noise", "hint"]
    assert (leaks.features, leaks.leaking, leaks.best, leaks.planted_found) == (2, (), "hint", True)


def test_a_real_leak_is_named_with_its_reason():
    columns, labels = _columns()
    columns["sold_today"] = labels * 3
    _, leaks = ranking_leaks(columns, labels, np.repeat(np.arange(SHOPPERS), EACH), seed=1)
    assert leaks.leaking[0].startswith("sold_today: ")


def test_too_little_to_tell_finds_nothing_and_says_so():
    columns, labels = _columns()
    few = {name: values[:40] for name, values in columns.items()}
    _, leaks = ranking_leaks(few, labels[:40], np.arange(40), seed=1)
    assert (leaks.features, leaks.planted_found) == (0, None)


def test_size_and_licences_are_read_from_the_files(tmp_path):
    release = tmp_path / "work" / "release"
    (release / "towers").mkdir(parents=True)
    (release / "towers" / "weights").write_bytes(b"x" * 1000)
    (release / "model.json").write_bytes(b"y" * 24)
    (tmp_path / "LICENSE").write_text("\nMIT License\n\nCopyright\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "README.md").write_text("Source: a shop, 2015. Licence: CC BY 4.0.\nChanges: none.\n")
    found = collect_contents(release, tmp_path, 7)
    assert found == Contents(events=7, size_bytes=1024, licences={"code": "MIT License", "data": "CC BY 4.0"})


def test_unknown_licences_are_empty(tmp_path):
    assert licences_of(tmp_path) == {"code": "", "data": ""}


def test_what_a_run_left_beside_the_release_is_gathered(tmp_path):
    release = tmp_path / "release"
    release.mkdir()
    assert gathered(release, tmp_path, 1, report())["conduct"] is None
    assert ("ndcg@10, release - own_frequency", 0.03) in quality_figures(report())
    keep_leaks(release, Leaks(features=3))
    keep_assessment(release, Assessment(report(), conduct()))
    found = gathered(release, tmp_path, 1, report())
    assert (found["leaks"], found["conduct"]) == (Leaks(features=3), conduct())
    # Figures of one evaluation are not taken for those of another.
    assert gathered(release, tmp_path, 1, report(users=7))["conduct"] is None


@pytest.mark.parametrize("kind", [Leaks, Contents, ServingLoad])
def test_a_damaged_part_is_refused_with_what_to_do(kind):
    with pytest.raises(DataError, match=r"of a release: .*; collect (it|them) again"):
        kind.from_json(b'{"features": "many"}')
