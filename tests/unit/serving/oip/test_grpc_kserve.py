"""KServe's own gRPC client calls the recommender: typed and raw tensors, health, metadata and refusals."""

import asyncio

import grpc
import numpy as np
import pytest
from api_twin import CatalogueRecommender
from grpc_process import grpc_serving
from kserve import InferenceGRPCClient, InferInput, InferRequest
from kserve.protocol.infer_type import RequestedOutput


@pytest.fixture(scope="module")
def address():
    with grpc_serving(CatalogueRecommender()) as address:
        yield address


def call(address: str, method: str, *arguments, **named):
    """One call with a client of its own."""

    async def run():
        async with InferenceGRPCClient(address, retries=0) as client:
            return await getattr(client, method)(*arguments, **named)

    return asyncio.run(run())


def tensors(raw: bool) -> list[InferInput]:
    user, k = InferInput("user", [2], "BYTES"), InferInput("k", [2], "INT32")
    if raw:
        user.set_data_from_numpy(np.array([b"17850", b"nobody"], dtype=object), binary_data=True)
        k.set_data_from_numpy(np.array([3, 2], dtype=np.int32), binary_data=True)
    else:
        user.set_data_from_numpy(np.array([b"17850", b"nobody"], dtype=object), binary_data=False)
        k.set_data_from_numpy(np.array([3, 2], dtype=np.int32), binary_data=False)
    return [user, k]


def test_server_is_live_and_ready(address):
    assert call(address, "is_server_live") is True
    assert call(address, "is_server_ready") is True


def test_model_is_ready(address):
    assert call(address, "is_model_ready", "recommender") is True


def test_another_model_is_not_found(address):
    with pytest.raises(grpc.RpcError) as refused:
        call(address, "is_model_ready", "churn")
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert "this server has one model: recommender" in refused.value.details()


@pytest.mark.parametrize("raw", [False, True], ids=["typed", "raw"])
@pytest.mark.parametrize("raw_out", [None, False, True], ids=["as_in", "typed_out", "raw_out"])
def test_infer_says_the_same_in_every_encoding(address, raw, raw_out):
    parameters = {} if raw_out is None else {"binary_data_output": raw_out}
    asked = InferRequest("recommender", tensors(raw), request_id="42", parameters=parameters)
    answer = call(address, "infer", asked)
    assert (answer.id, answer.model_name, answer.model_version) == ("42", "recommender", "release-7")
    outputs = {output.name: output.as_numpy() for output in answer.outputs}
    # the twin's catalogue in its order; the second list has two items and is filled up to three
    texts = [[item.decode() if isinstance(item, bytes) else item for item in row] for row in outputs["item_ids"]]
    assert texts == [["mug", "tea", "cake"], ["mug", "tea", ""]]
    assert outputs["scores"].dtype == np.float32
    np.testing.assert_allclose(outputs["scores"], [[1, 1 / 2, 1 / 3], [1, 1 / 2, 0]], rtol=1e-6)
    assert outputs["lengths"].tolist() == [3, 2]


def test_infer_answers_only_the_outputs_that_were_asked_for(address):
    asked = InferRequest("recommender", tensors(True), request_outputs=[RequestedOutput("scores")])
    assert [output.name for output in call(address, "infer", asked).outputs] == ["scores"]


def test_wrong_datatype_is_an_invalid_argument_that_names_the_field(address):
    wrong = InferInput("user", [1], "INT32", data=[7])
    with pytest.raises(grpc.RpcError) as refused:
        call(address, "infer", InferRequest("recommender", [wrong]))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == "inputs[0].datatype: 'INT32' is wrong for 'user'; send BYTES"
