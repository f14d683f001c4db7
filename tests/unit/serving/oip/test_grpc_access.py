"""gRPC behind keys, before a release serves, and while it is overloaded."""

import threading

import grpc
import pytest
from api_twin import CatalogueRecommender, wait_until
from grpc_process import call_raw, grpc_serving

from tastemaker.errors import ServingError
from tastemaker.serving.access.key_file import create_key
from tastemaker.serving.access.keys import Scope
from tastemaker.serving.oip.messages import messages
from tastemaker.settings import Settings


def asked(lists: int = 1) -> bytes:
    message = messages.ModelInferRequest(model_name="recommender")
    tensor = message.inputs.add(name="user", datatype="BYTES", shape=[lists])
    tensor.contents.bytes_contents.extend([b"17850"] * lists)
    return message.SerializeToString()


def refusal(channel, method: str, raw: bytes = b"", metadata=()) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as refused:
        call_raw(channel, method, raw, metadata)
    return refused.value


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    path = tmp_path_factory.mktemp("access") / "keys.json"
    made = {scope.value: create_key(path, scope.value, [scope], now_us=0, rate=0, burst=1)[1] for scope in Scope}
    made["lists"] = create_key(path, "lists", [Scope.RECOMMEND], now_us=0, rate=0.001, burst=10)[1]
    return Settings(api_keys=str(path)), made


@pytest.fixture(scope="module")
def channel(keys):
    with grpc_serving(CatalogueRecommender(), keys[0]) as address, grpc.insecure_channel(address) as channel:
        yield channel


@pytest.mark.parametrize("method", ["ServerLive", "ServerReady"])
def test_probes_need_no_key(channel, method):
    assert call_raw(channel, method, b"")


@pytest.mark.parametrize("method", ["ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer"])
def test_everything_else_does_and_says_how(channel, method):
    refused = refusal(channel, method)
    assert refused.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "tastemaker keys create" in refused.details()


@pytest.mark.parametrize("name", ["authorization", "x-api-key"])
def test_key_comes_in_the_metadata(channel, keys, name):
    token = keys[1]["recommend"]
    metadata = [(name, f"Bearer {token}" if name == "authorization" else token)]
    answer = messages.ModelInferResponse.FromString(call_raw(channel, "ModelInfer", asked(), metadata))
    assert answer.outputs[0].contents.bytes_contents[0] == b"mug"


def test_key_of_another_scope_is_not_permitted(channel, keys):
    refused = refusal(channel, "ModelInfer", asked(), [("x-api-key", keys[1]["write-events"])])
    assert refused.code() is grpc.StatusCode.PERMISSION_DENIED
    assert "--scope recommend" in refused.details()


def test_each_list_counts_and_the_refusal_says_when_to_come_back(channel, keys):
    metadata = [("x-api-key", keys[1]["lists"])]
    call_raw(channel, "ModelInfer", asked(lists=11), metadata)
    refused = refusal(channel, "ModelInfer", asked(), metadata)
    assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    # 10 held, 11 taken: 1 owed and 1 to take, at 0.001 per second, less what has passed since
    assert 1990 <= int(dict(refused.trailing_metadata())["retry-after"]) <= 2000


def test_no_secret_is_in_a_refusal(channel, keys):
    token = keys[1]["recommend"]
    for sent in (token, token[:-1] + "_"):
        refused = refusal(channel, "ModelInfer", b"\xff", [("authorization", f"Bearer {sent}")])
        assert token[12:40] not in f"{refused.details()}{refused.trailing_metadata()}"


def test_before_a_release_serves_it_is_unavailable_and_alive():
    with grpc_serving(CatalogueRecommender(), ready=False) as address, grpc.insecure_channel(address) as channel:
        assert messages.ServerLiveResponse.FromString(call_raw(channel, "ServerLive", b"")).live
        assert not messages.ServerReadyResponse.FromString(call_raw(channel, "ServerReady", b"")).ready
        for method in ("ModelInfer", "ModelMetadata"):
            named = messages.ModelMetadataRequest(name="recommender").SerializeToString()
            refused = refusal(channel, method, asked() if method == "ModelInfer" else named)
            assert refused.code() is grpc.StatusCode.UNAVAILABLE
            assert dict(refused.trailing_metadata())["retry-after"] == "2"


def test_error_of_the_recommender_is_unavailable():
    recommender = CatalogueRecommender()
    with grpc_serving(recommender) as address, grpc.insecure_channel(address) as channel:
        recommender.failure = ServingError("the index is gone")
        refused = refusal(channel, "ModelInfer", asked())
        assert (refused.code(), refused.details()) == (
            grpc.StatusCode.UNAVAILABLE,
            "the index is gone; try again in a moment",
        )


def test_while_too_many_lists_wait_a_lower_tier_answers():
    recommender = CatalogueRecommender()
    with grpc_serving(recommender) as address, grpc.insecure_channel(address) as channel:
        recommender.gate.clear()
        recommender.threads.clear()  # those of the warm-up
        waiting = threading.Thread(target=call_raw, args=(channel, "ModelInfer", asked(lists=64)))
        waiting.start()
        wait_until(lambda: recommender.threads, "the first list")  # all 64 are counted by then
        try:
            answer = messages.ModelInferResponse.FromString(call_raw(channel, "ModelInfer", asked()))
        finally:
            recommender.gate.set()
            waiting.join(20)
        tiers = next(output for output in answer.outputs if output.name == "tiers")
        assert tiers.contents.bytes_contents == [b"popular"]


def test_busy_port_is_refused_with_the_way_out():
    with grpc_serving(CatalogueRecommender(), ready=False) as address:
        port = int(address.rsplit(":", 1)[1])
        with (
            pytest.raises(ServingError, match="TASTEMAKER_RECOMMENDER_GRPC_PORT"),
            grpc_serving(CatalogueRecommender(), ready=False, port=port),
        ):
            pass


def test_open_address_without_keys_is_refused():
    settings = Settings(serve_host="0.0.0.0", api_keys="/nonexistent/keys.json")
    with (
        pytest.raises(ServingError, match=r"the recommender's gRPC would listen on 0\.0\.0\.0"),
        grpc_serving(CatalogueRecommender(), settings, ready=False),
    ):
        pass
