import json

import httpx
import pytest

from tastemaker.errors import StackError
from tastemaker.stack.flow_runs import FlowRuns


def _runs(answers, requests=None, patience_s=5.0):
    """A client whose server gives the answers in turn, the last one again and again."""
    left = list(answers)

    def answer(request):
        if requests is not None:
            requests.append(request)
        status, body = left.pop(0) if len(left) > 1 else left[0]
        return httpx.Response(status, json=body)

    return FlowRuns("http://127.0.0.1:1", patience_s=patience_s, transport=httpx.MockTransport(answer))


def _run(state):
    return {"name": "r", "state_type": state, "state_name": state.title(), "state": {"message": "m"}}


def test_start_asks_again_while_the_server_is_busy_and_starts_one_run():
    requests = []
    runs = _runs([(200, {"id": "d"}), (503, {}), (200, {"id": "r1"})], requests)
    assert runs.start("train/default", {"seed": 1}) == "r1"
    keys = [json.loads(request.content)["idempotency_key"] for request in requests[1:]]
    assert len(keys) == 2
    assert keys[0] == keys[1]


def test_start_unknown_deployment_says_how_to_deploy():
    with pytest.raises(StackError, match=r"flows\.deploy"):
        _runs([(404, {})]).start("train/default", {})


def test_read_a_server_that_stays_away_is_an_error_with_the_remedy():
    with pytest.raises(StackError, match="tastemaker up"):
        _runs([(503, {})], patience_s=0.0).read("r1")


def test_read_a_refusal_says_what_was_answered():
    with pytest.raises(StackError, match="422"):
        _runs([(422, {"detail": "bad"})]).read("r1")


def test_follow_ends_with_the_final_state_and_names_the_tasks():
    tasks = [{"name": "train", "state_name": "Running"}]
    answers = [(200, _run("RUNNING")), (200, tasks), (200, _run("COMPLETED")), (200, tasks)]
    seen = list(_runs(answers).follow("r1", sleep=lambda _: None))
    assert [run.state_type for run in seen] == ["RUNNING", "COMPLETED"]
    assert seen[-1].is_final
    assert seen[-1].tasks == {"train": "Running"}
    assert seen[-1].message == "m"
