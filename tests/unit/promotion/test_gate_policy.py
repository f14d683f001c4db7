import pytest
import yaml
from gate_evidence import POLICY_PATH

from tastemaker.errors import DataError
from tastemaker.promotion.checks import CHECKS
from tastemaker.promotion.policy import PolicyChecks, load_policy


@pytest.fixture
def content():
    return yaml.safe_load(POLICY_PATH.read_text())


def _load(tmp_path, content):
    path = tmp_path / "policy.yaml"
    path.write_text(yaml.safe_dump(content))
    return load_policy(path)


def test_the_shipped_policy_has_every_check():
    policy = load_policy(POLICY_PATH)
    assert policy.name == "default"
    assert [name for name, limits in policy.checks if limits is None] == ["serving"]


@pytest.mark.parametrize("path", sorted(POLICY_PATH.parent.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_policy_loads_and_is_named_as_its_file(path):
    assert load_policy(path).name == path.stem


def test_every_key_of_the_policy_has_a_check():
    assert set(PolicyChecks.model_fields) == set(CHECKS)


def test_an_unknown_key_is_refused_with_file_and_key(tmp_path, content):
    content["checks"]["drift"]["max_shere"] = 0.5
    with pytest.raises(DataError, match=r"policy\.yaml: checks\.drift\.max_shere: is no known key"):
        _load(tmp_path, content)


def test_a_missing_key_is_refused_with_file_and_key(tmp_path, content):
    del content["checks"]["baseline_quality"]["margin"]
    del content["checks"]["lineage"]
    with pytest.raises(DataError) as raised:
        _load(tmp_path, content)
    assert "policy.yaml" in str(raised.value)
    assert "checks.baseline_quality.margin: is missing" in str(raised.value)
    assert "checks.lineage: is missing" in str(raised.value)


@pytest.mark.parametrize(
    ("check", "key", "value"),
    [
        ("drift", "max_share", 1.5),
        ("drift", "max_share", "half"),
        ("data_volume", "min_events", -1),
        ("data_volume", "min_events", "1e4"),
        ("baseline_quality", "metric", "accuracy"),
        ("champion_quality", "mode", "better"),
        ("drift", "floors", {"price": -1.0}),
        ("calibration", "max_ratio", 0.5),
        ("train_serve_parity", "max_difference", -1e-5),
        ("lineage", "require_commit", "yes"),
    ],
)
def test_a_wrong_value_is_refused_with_its_key(tmp_path, content, check, key, value):
    content["checks"][check][key] = value
    with pytest.raises(DataError, match=rf"checks\.{check}\.{key}"):
        _load(tmp_path, content)


@pytest.mark.parametrize("text", ["", "- a list", "name: [unclosed", "\x00"])
def test_a_file_that_is_no_policy_is_refused(tmp_path, text):
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=r"policy\.yaml"):
        load_policy(path)


def test_an_absent_file_points_to_the_shipped_ones(tmp_path):
    with pytest.raises(DataError, match="monitoring/gates"):
        load_policy(tmp_path / "absent.yaml")


def test_a_policy_without_any_check_is_refused(tmp_path, content):
    content["checks"] = dict.fromkeys(content["checks"])
    with pytest.raises(DataError, match="pass everything"):
        _load(tmp_path, content)


def test_the_digest_follows_the_content_alone(tmp_path, content):
    same = _load(tmp_path, content)
    assert same.digest() == load_policy(POLICY_PATH).digest()
    content["checks"]["drift"]["max_share"] = 0.31
    assert _load(tmp_path, content).digest() != same.digest()
