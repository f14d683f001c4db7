"""KServe's own REST client calls the recommender: Open Inference Protocol v1 and v2, in JSON and in binary."""

import asyncio
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
import uvicorn
from bento_process import build, served
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput
from served_release import small_release

from tastemaker.broker.memory import MemoryBroker
from tastemaker.names import TOPIC_SERVED_LISTS
from tastemaker.serving.app import create_app, open_recommender
from tastemaker.serving.served_log import ServedListLog
from tastemaker.settings import Settings


@pytest.fixture(scope="module", params=["application", pytest.param("bento", marks=pytest.mark.e2e)])
def url(request):
    """The recommender on a free port of this machine: the bare application, or its Bento in processes of its own."""
    settings, release = small_release()
    if request.param == "bento":
        with served(settings, build(settings, release)) as (address, _):
            yield address
    else:
        with application(settings, release) as address:
            yield address


@contextmanager
def application(settings: Settings, release: Path):
    broker = MemoryBroker({TOPIC_SERVED_LISTS: 1})
    app = create_app(
        lambda settings: open_recommender(settings, release),
        lambda: settings,
        lambda settings, metrics: ServedListLog(broker.producer),
    )
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True)
        thread.start()
        deadline = time.monotonic() + 60
        while not app.state.plane.ready:
            assert time.monotonic() < deadline, app.state.plane.why_not_ready
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def call(protocol: str, method: str, *arguments, **named):
    """One call with a client of its own."""

    async def run():
        async with InferenceRESTClient(RESTConfig(protocol=protocol, retries=0)) as client:
            return await getattr(client, method)(*arguments, **named)

    return asyncio.run(run())


@pytest.mark.parametrize("protocol", ["v1", "v2"])
def test_server_is_live(url, protocol):
    assert call(protocol, "is_server_live", url) is True


def test_server_is_ready(url):
    assert call("v2", "is_server_ready", url) is True


@pytest.mark.parametrize("protocol", ["v1", "v2"])
def test_model_is_ready(url, protocol):
    assert call(protocol, "is_model_ready", url, "recommender") is True


def test_v2_another_model_is_not_ready(url):
    assert call("v2", "is_model_ready", url, "churn") is False


def test_v1_predict(url):
    body = {"instances": [{"user": "u1", "k": 3}, {"user": "nobody", "k": 2}]}
    predictions = call("v1", "infer", url, body, model_name="recommender")["predictions"]
    assert [len(prediction["items"]) for prediction in predictions] == [3, 2]
    assert predictions[1]["tier"] == "cold_start"


def test_v1_unknown_model_is_refused_in_words(url):
    with pytest.raises(httpx.HTTPStatusError, match=r"unknown model 'churn'.*404"):
        call("v1", "infer", url, {"instances": [{}]}, model_name="churn")


def tensors(binary: bool) -> list[InferInput]:
    user = InferInput("user", [2], "BYTES")
    user.set_data_from_numpy(np.array([b"u1", b"nobody"], dtype=object), binary_data=binary)
    k = InferInput("k", [2], "INT64")
    k.set_data_from_numpy(np.array([3, 2], dtype=np.int64), binary_data=binary)
    return [user, k]


def infer(url: str, binary_in: bool, **request) -> dict[str, np.ndarray]:
    asked = InferRequest(model_name="recommender", infer_inputs=tensors(binary_in), request_id="42", **request)
    answer = call("v2", "infer", url, asked, model_name="recommender")
    assert answer.id == "42"
    assert answer.model_name == "recommender"
    return {output.name: output.as_numpy() for output in answer.outputs}


def text_of(element: bytes | str) -> str:
    return element.decode() if isinstance(element, bytes) else element


@pytest.mark.parametrize("binary_in", [False, True], ids=["json_in", "binary_in"])
@pytest.mark.parametrize("binary_out", [False, True], ids=["json_out", "binary_out"])
def test_v2_infer_says_the_same_in_every_encoding(url, binary_in, binary_out):
    outputs = infer(url, binary_in, parameters={"binary_data_output": binary_out})
    assert outputs["item_ids"].shape == outputs["scores"].shape == (2, 3)
    assert outputs["scores"].dtype == np.float32
    assert outputs["lengths"].tolist() == [3, 2]
    texts = [[text_of(element) for element in row] for row in outputs["item_ids"]]
    body = {"instances": [{"user": "u1", "k": 3}, {"user": "nobody", "k": 2}]}
    predictions = call("v1", "infer", url, body, model_name="recommender")["predictions"]
    assert texts[0] == [item["item_id"] for item in predictions[0]["items"]]
    assert texts[1] == [item["item_id"] for item in predictions[1]["items"]] + [""]
    for row, prediction in enumerate(predictions):
        expected = [item["score"] for item in prediction["items"]]
        assert outputs["scores"][row, : len(expected)] == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_v2_one_requested_output_in_binary(url):
    outputs = infer(url, True, request_outputs=[RequestedOutput("scores", {"binary_data": True})])
    assert list(outputs) == ["scores"]


def test_v2_wrong_datatype_is_refused_in_words(url):
    wrong = InferInput("user", [1], "INT32", data=[7])
    with pytest.raises(httpx.HTTPStatusError, match=r"inputs\[0\].datatype.*400"):
        call("v2", "infer", url, InferRequest("recommender", [wrong]), model_name="recommender")
