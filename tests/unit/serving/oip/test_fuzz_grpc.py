"""Malformed calls over gRPC: each ends in time with a status that names the caller's mistake, never INTERNAL."""

import struct

import grpc
import pytest
from api_twin import CatalogueRecommender
from grpc_process import call_raw, grpc_serving
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from malformed import DATATYPES, NAMES

from tastemaker.serving.http import MAX_BODY_BYTES
from tastemaker.serving.oip.grpc_methods import SERVICE
from tastemaker.serving.oip.messages import messages

METHODS = ["ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer"]
MISTAKES = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.RESOURCE_EXHAUSTED}
fuzzed = settings(
    max_examples=150, deadline=5_000, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
TEXT = st.text(st.characters(blacklist_categories=("Cs",)), max_size=20)
INT64 = st.integers(-(2**63), 2**63 - 1)


@pytest.fixture(scope="module")
def channel():
    options = [("grpc.max_send_message_length", -1), ("grpc.enable_retries", 0)]
    with grpc_serving(CatalogueRecommender()) as address, grpc.insecure_channel(address, options) as channel:
        yield channel


def ends(channel, method: str, raw: bytes) -> grpc.StatusCode:
    """The status of a call, after a look at what a refusal says."""
    call = channel.unary_unary(f"/{SERVICE}/{method}").future(raw, timeout=10)
    code, details = call.code(), call.details()
    if code is not grpc.StatusCode.OK:
        assert code in MISTAKES, (code, details)
        assert "; " in details
        assert len(details) < 2000
    return code


@fuzzed
@given(method=st.sampled_from(METHODS), raw=st.binary(max_size=200))
def test_bytes_that_are_no_message(channel, method, raw):
    ends(channel, method, raw)


@st.composite
def contents(draw):
    """Typed elements in fields that may not fit the datatype."""
    return {
        "int_contents": draw(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=3)),
        "int64_contents": draw(st.lists(INT64, max_size=3)),
        "bytes_contents": draw(st.lists(st.binary(max_size=8) | st.just(b"17850"), max_size=3)),
        "fp32_contents": draw(st.lists(st.just(float("nan")), max_size=1)),
    }


@st.composite
def calls(draw):
    message = messages.ModelInferRequest(
        model_name=draw(st.just("recommender") | TEXT), model_version=draw(st.just("") | TEXT), id=draw(TEXT)
    )
    for _ in range(draw(st.integers(0, 3))):
        message.inputs.add(
            name=draw(NAMES.filter(_is_utf8)),
            datatype=draw(DATATYPES.filter(_is_utf8)),
            shape=draw(st.lists(st.integers(-2, 4) | INT64, max_size=3)),
            **({"contents": draw(contents())} if draw(st.booleans()) else {}),
        )
    message.raw_input_contents.extend(draw(st.lists(st.binary(max_size=24), max_size=3)))
    for _ in range(draw(st.integers(0, 2))):
        message.outputs.add(name=draw(st.sampled_from(["scores", "lengths"]) | TEXT))
    message.parameters["binary_data_output"].int64_param = draw(INT64)
    message.parameters["empty"].SetInParent()
    return message.SerializeToString()


def _is_utf8(text: str) -> bool:
    return not any(0xD800 <= ord(letter) <= 0xDFFF for letter in text)


@fuzzed
@given(raw=calls())
def test_messages_that_contradict_themselves(channel, raw):
    ends(channel, "ModelInfer", raw)


@fuzzed
@given(raw=calls(), cut=st.integers(0, 400))
def test_messages_that_are_cut_off(channel, raw, cut):
    ends(channel, "ModelInfer", raw[: len(raw) - cut % (len(raw) + 1)])


def user(shape, **more):
    message = messages.ModelInferRequest(model_name="recommender")
    message.inputs.add(name="user", datatype="BYTES", shape=shape)
    message.raw_input_contents.extend(more.get("raw", ()))
    return message


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (user([1], raw=[b"\x05\x00\x00\x00ab"]), "raw_input_contents[0]"),
        (user([1], raw=[struct.pack("<I", 2**32 - 1)]), "raw_input_contents[0]"),
        (user([2], raw=[b"\x01\x00\x00\x00a"]), "inputs[0].shape"),
        (user([2**62, 2**62], raw=[b""]), "inputs[0].shape"),
        (user([-1], raw=[b""]), "inputs[0].shape"),
        (user([1], raw=[b"", b""]), "raw_input_contents"),
        (user([1], raw=[b"\x01\x00\x00\x00\xff"]), "inputs[0].data"),
        (user([65], raw=[b"\x00\x00\x00\x00" * 65]), "inputs[0].shape"),
        (user([0]), "inputs[0].shape"),
    ],
)
def test_mistake_is_named(channel, message, field):
    with pytest.raises(grpc.RpcError) as refused:
        call_raw(channel, "ModelInfer", message.SerializeToString())
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details().startswith(f"{field}: ")


def test_message_beyond_the_limit_is_refused(channel):
    a_little = user([1], raw=[b"\x00" * (MAX_BODY_BYTES + 1)]).SerializeToString()
    assert ends(channel, "ModelInfer", a_little) is grpc.StatusCode.RESOURCE_EXHAUSTED
    with pytest.raises(grpc.RpcError) as refused:  # gRPC itself refuses what is larger still, in its own words
        call_raw(channel, "ModelInfer", b"\x00" * (3 * MAX_BODY_BYTES))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_metadata_beyond_the_limit_is_refused(channel):
    with pytest.raises(grpc.RpcError) as refused:
        call_raw(channel, "ServerLive", b"", metadata=[("x-long", "a" * 40_000)])
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_method_that_there_is_not_is_unimplemented(channel):
    with pytest.raises(grpc.RpcError) as refused:
        call_raw(channel, "RepositoryModelLoad", b"")
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
