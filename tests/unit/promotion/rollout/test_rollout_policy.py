"""The shipped policy loads, and what is wrong with another one is said."""

import pytest
import yaml
from rollout_parts import POLICY_FILE

from tastemaker.errors import DataError
from tastemaker.promotion.rollout.policy import load_policy


def test_the_shipped_policy_has_the_steps_and_spends_five_percent():
    policy = load_policy(POLICY_FILE)
    assert [(step.share, step.shadow) for step in policy.steps] == [
        (0, True),
        (0.05, False),
        (0.25, False),
        (0.5, False),
    ]
    assert sum(one.alpha for _, one in policy.guardrails) == pytest.approx(0.05)
    assert sum(policy.part_of_alpha(step) for step in range(4)) == pytest.approx(1.0)


@pytest.mark.parametrize("path", sorted(POLICY_FILE.parent.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_policy_loads_under_its_own_name(path):
    assert load_policy(path).name == path.stem


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda p: p.pop("sure"), "sure: is missing"),
        (lambda p: p.update(sureness=1), "sureness: is no known key"),
        (lambda p: p["steps"].reverse(), "shares must not fall"),
        (lambda p: p["steps"][0].update(shadow=False), "a step without a share needs a shadow"),
        (lambda p: p["steps"][1].update(name="shadow"), "two steps have the same name"),
        (lambda p: p["steps"][1].update(share=1.5), "steps.1.share: input should be less than or equal to 1"),
        (lambda p: p["guardrails"].update(clicks=None), "max_drop needs the guardrail clicks"),
        (lambda p: p["guardrails"]["clicks"].update(alpha=0.3), "more than 0.2"),
        (lambda p: p.update(steps=[]), "steps: list should have at least 1 item"),
    ],
)
def test_a_wrong_policy_names_file_and_key(tmp_path, change, problem):
    content = yaml.safe_load(POLICY_FILE.read_text())
    change(content)
    path = tmp_path / "odd.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(DataError, match=r"odd\.yaml") as raised:
        load_policy(path)
    assert problem in str(raised.value)


def test_a_missing_or_unreadable_file_is_told(tmp_path):
    with pytest.raises(DataError, match="there is no rollout policy"):
        load_policy(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(DataError, match="cannot be read"):
        load_policy(tmp_path / "bad.yaml")
