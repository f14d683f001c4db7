"""KServe's own REST client calls retrieval and ranking, and passes the one's answer to the other as its router does."""

import asyncio
import socket
import threading
import time
from contextlib import ExitStack, contextmanager

import httpx
import numpy as np
import pytest
import uvicorn
from bento_process import build, served
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from served_release import small_release

from tastemaker.serving.model_services.app import RANKING, RETRIEVAL, create_model_app
from tastemaker.serving.model_services.opening import open_ranking, open_retrieval


@pytest.fixture(scope="module", params=["application", pytest.param("bento", marks=pytest.mark.e2e)])
def urls(request):
    """Both models on free ports of this machine: the bare applications, or their Bentos in processes of their own."""
    settings, release = small_release()
    with ExitStack() as stack:
        if request.param == "bento":
            found = {
                name: stack.enter_context(served(settings, build(settings, release, name)))[0]
                for name in ("retrieval", "ranking")
            }
        else:
            found = {
                kind.name: stack.enter_context(application(kind, opening, settings, release))
                for kind, opening in ((RETRIEVAL, open_retrieval), (RANKING, open_ranking))
            }
        yield found


@contextmanager
def application(kind, opening, settings, release):
    app = create_model_app(kind, lambda settings: opening(settings, release), lambda: settings)
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


@pytest.mark.parametrize("model", ["retrieval", "ranking"])
@pytest.mark.parametrize("protocol", ["v1", "v2"])
def test_server_and_model_are_live_and_ready(urls, protocol, model):
    assert call(protocol, "is_server_live", urls[model]) is True
    assert call(protocol, "is_model_ready", urls[model], model) is True
    if protocol == "v2":
        assert call(protocol, "is_server_ready", urls[model]) is True
        assert call(protocol, "is_model_ready", urls[model], "recommender") is False


def text_of(element: bytes | str) -> str:
    return element.decode() if isinstance(element, bytes) else element


@pytest.mark.parametrize("binary_in", [False, True], ids=["json_in", "binary_in"])
@pytest.mark.parametrize("binary_out", [False, True], ids=["json_out", "binary_out"])
def test_v2_retrieval_then_ranking_in_every_encoding(urls, binary_in, binary_out):
    user = InferInput("user", [2], "BYTES")
    user.set_data_from_numpy(np.array([b"u1", b"nobody"], dtype=object), binary_data=binary_in)
    asked = InferRequest("retrieval", [user], request_id="42", parameters={"binary_data_output": binary_out})
    found = {one.name: one for one in call("v2", "infer", urls["retrieval"], asked, model_name="retrieval").outputs}
    ids = found["item_ids"].as_numpy()
    assert ids.shape == found["scores"].as_numpy().shape
    assert found["lengths"].as_numpy().tolist()[0] > 10
    inputs = []
    for name, kind in (("user", "BYTES"), ("item_ids", "BYTES"), ("sources", "BYTES"), ("source_scores", "FP32")):
        array = found[name].as_numpy()
        tensor = InferInput(name, list(array.shape), kind)
        if kind == "BYTES":
            array = np.vectorize(lambda each: text_of(each).encode(), otypes=[object])(array)
        tensor.set_data_from_numpy(array, binary_data=binary_in)
        inputs.append(tensor)
    asked = InferRequest("ranking", inputs, request_id="42", parameters={"binary_data_output": binary_out})
    answer = call("v2", "infer", urls["ranking"], asked, model_name="ranking")
    ranked = {one.name: one.as_numpy() for one in answer.outputs}
    assert answer.id == "42"
    assert ranked["item_ids"].shape == ranked["scores"].shape == (2, 10)
    assert (np.diff(ranked["scores"][0]) <= 0).all()
    assert {text_of(each) for each in ranked["item_ids"][0]} <= {text_of(each) for each in ids[0]}
    assert [text_of(each) for each in ranked["tiers"]] == ["full", "cold_start"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/models/{}:predict", {"instances": [{"user": "u1", "k": 3}]}),
        (
            "/v2/models/{}/infer",
            {
                "inputs": [
                    {"name": "user", "datatype": "BYTES", "shape": [1], "data": ["u1"]},
                    {"name": "k", "datatype": "INT32", "shape": [1], "data": [3]},
                ]
            },
        ),
    ],
    ids=["v1", "v2"],
)
def test_a_sequence_passes_the_bytes_of_one_answer_on_as_the_next_request(urls, path, body):
    # What the router of an InferenceGraph posts: the body alone, as JSON.
    headers = {"content-type": "application/json"}
    first = httpx.post(urls["retrieval"] + path.format("retrieval"), json=body)
    second = httpx.post(urls["ranking"] + path.format("ranking"), content=first.content, headers=headers)
    assert (first.status_code, second.status_code) == (200, 200), second.text
    answer = second.json()
    if "predictions" in answer:
        (prediction,) = answer["predictions"]
        assert (len(prediction["items"]), prediction["tier"]) == (3, "full")
    else:
        assert answer["outputs"][0]["shape"] == [1, 3]


def test_v1_refusal_is_told_in_words(urls):
    with pytest.raises(httpx.HTTPStatusError, match=r"unknown surface 'attic'.*400"):
        call("v1", "infer", urls["retrieval"], {"instances": [{"surface": "attic"}]}, model_name="retrieval")
