"""KServe's own gRPC client gets from a trained release what its REST client gets."""

import asyncio

import numpy as np
import pytest
from bento_process import build, served
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
from served_release import small_release

from benchmarks.local_kafka import free_port

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def addresses():
    """REST and gRPC of one Bento in processes of its own."""
    settings, release = small_release()
    port = free_port()
    with served(settings, build(settings, release), grpc_port=port) as (url, _):
        yield url, f"127.0.0.1:{port}"


def asked() -> InferRequest:
    user, k = InferInput("user", [2], "BYTES"), InferInput("k", [2], "INT64")
    user.set_data_from_numpy(np.array([b"u1", b"nobody"], dtype=object), binary_data=True)
    k.set_data_from_numpy(np.array([3, 2], dtype=np.int64), binary_data=True)
    return InferRequest("recommender", [user, k], request_id="42")


def test_both_clients_read_the_same_lists(addresses):
    url, grpc_address = addresses

    async def both():
        async with InferenceRESTClient(RESTConfig(protocol="v2", retries=0)) as rest:
            by_rest = await rest.infer(url, asked(), model_name="recommender")
        async with InferenceGRPCClient(grpc_address, retries=0) as client:
            assert await client.is_server_live()
            assert await client.is_server_ready()
            assert await client.is_model_ready("recommender")
            return by_rest, await client.infer(asked())

    by_rest, by_grpc = asyncio.run(both())
    assert (by_rest.id, by_grpc.id, by_grpc.model_version) == ("42", "42", "small-1")
    rest, grpc = ({output.name: output.as_numpy() for output in answer.outputs} for answer in (by_rest, by_grpc))
    texts = [item.decode() if isinstance(item, bytes) else item for item in grpc["item_ids"].ravel()]
    assert texts == [item.decode() if isinstance(item, bytes) else item for item in rest["item_ids"].ravel()]
    np.testing.assert_allclose(grpc["scores"], rest["scores"], rtol=1e-4)
    assert grpc["lengths"].tolist() == [3, 2]
