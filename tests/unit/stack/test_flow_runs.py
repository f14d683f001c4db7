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


def test_start_with_a_key_sends_it_so_that_a_second_start_finds_the_same_run():
    requests = []
    _runs([(200, {"id": "d"}), (200, {"id": "r1"})], requests).start("train/default", {}, key="k1")
    assert json.loads(requests[1].content)["idempotency_key"] == "k1"


def test_waiting_finds_the_run_with_these_parameters_among_others():
    found = [
        {"id": "r1", "parameters": {"release": "a", "patience_hours": 1}},
        {"id": "r2", "parameters": {"release": "b", "patience_hours": 1}},
    ]
    run = _runs([(200, found), (200, _run("PAUSED")), (200, [])]).waiting("promote", {"release": "b"})
    assert run is not None
    assert run.id == "r2"
    assert _runs([(200, found)]).waiting("promote", {"release": "c"}) is None
    assert _runs([(200, [])]).waiting("promote", {}) is None


@pytest.mark.parametrize("status", ["REJECT", "ABORT", "WAIT"])
def test_answer_that_prefect_refuses_with_http_200_is_an_error(status):
    answer = {"status": status, "details": {"reason": "'maybe' is not one of ['approve', 'reject']"}}
    with pytest.raises(StackError, match=f"{status}.*maybe"):
        _runs([(200, answer)]).answer("r1", {"decision": "maybe"})


def test_answer_that_prefect_takes_sends_the_input():
    requests = []
    _runs([(200, {"status": "ACCEPT", "details": {}})], requests).answer("r1", {"decision": "approve"})
    assert requests[0].url.path.endswith("/flow_runs/r1/resume")
    assert json.loads(requests[0].content) == {"run_input": {"decision": "approve"}}


def test_stop_schedules_switches_each_one_off():
    requests = []
    deployment = {"id": "d", "schedules": [{"id": "s1"}, {"id": "s2"}]}
    _runs([(200, deployment), (204, None)], requests).stop_schedules("train/default")
    paths = [request.url.path.removeprefix("/api") for request in requests[1:]]
    assert paths == ["/deployments/d/schedules/s1", "/deployments/d/schedules/s2"]
    assert [json.loads(request.content) for request in requests[1:]] == [{"active": False}] * 2
