"""Malformed requests over REST: no 5xx, no hang, and always a field and a remedy."""

import struct

import pytest
from api_twin import CatalogueRecommender, serving
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from malformed import BROKEN, INFER, PREDICT, REQUESTS, as_json

INFER_PATH = "/v2/models/recommender/infer"
HEADER = "inference-header-content-length"
fuzzed = settings(
    max_examples=150, deadline=5_000, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def client():
    with serving(CatalogueRecommender()) as client:
        yield client


def answered(response) -> int:
    """The status, after a look at the answer: a list, or a refusal that says what to do."""
    assert response.status_code in {200, 400, 404, 405, 413, 414, 415, 422, 431}, response.text
    if response.status_code != 200:
        told = response.json()
        if isinstance(told["error"], dict):
            assert set(told["error"]) == {"field", "problem", "remedy"}
            assert told["error"]["remedy"]
        else:
            assert "; " in told["error"]
            assert isinstance(told["field"], str)
        assert len(response.content) < 4096  # a megabyte that was sent is not sent back
    return response.status_code


@fuzzed
@given(body=REQUESTS)
def test_json_api(client, body):
    answered(client.post("/v1/recommend", content=as_json(body), headers={"content-type": "application/json"}))


@fuzzed
@given(body=PREDICT)
def test_v1(client, body):
    answered(client.post("/v1/models/recommender:predict", content=as_json(body)))


@fuzzed
@given(body=INFER)
def test_v2(client, body):
    answered(client.post(INFER_PATH, content=as_json(body)))


@pytest.mark.parametrize("path", ["/v1/recommend", "/v1/models/recommender:predict", INFER_PATH])
@pytest.mark.parametrize("body", BROKEN, ids=range(len(BROKEN)))
def test_broken_json(client, path, body):
    status = answered(client.post(path, content=body))
    # two of them are requests after all: the last of two equal fields counts, and a NUL is a character
    assert status in {400, 422, 200}


@fuzzed
@given(
    path=st.text(st.characters(blacklist_categories=("Cs",)), max_size=30),
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"]),
)
def test_any_path(client, path, method):
    from urllib.parse import quote

    answered(client.request(method, "/v9/" + quote(path), content=b"{}"))


@fuzzed
@given(
    query=st.lists(
        st.tuples(st.sampled_from(["k", "user", "exclude", "explain", "x"]), st.text(max_size=20)), max_size=5
    )
)
def test_any_query(client, query):
    from urllib.parse import quote

    text = "&".join(f"{name}={quote(value, errors='surrogatepass')}" for name, value in query)
    answered(client.get(f"/v1/recommend?{text}"))


_TENSOR = '{"name": "user", "datatype": "BYTES", "shape": [%d], "parameters": {"binary_data_size": %d}}'


@fuzzed
@given(
    shape=st.integers(-1, 5),
    size=st.integers(-1, 40),
    lengths=st.lists(st.integers(0, 12) | st.just(2**32 - 1), max_size=3),
    tail=st.binary(max_size=24),
    header=st.integers(-3, 3) | st.none(),
)
def test_binary_tensors_whose_lengths_lie(*, client, shape, size, lengths, tail, header):
    head = ('{"inputs": [' + _TENSOR % (shape, size) + "]}").encode()
    raw = b"".join(struct.pack("<I", length) + b"u" * min(length, 12) for length in lengths) + tail
    told = {} if header is None else {HEADER: str(len(head) + header)}
    media_type = {"content-type": "application/octet-stream"}
    answered(client.post(INFER_PATH, content=head + raw, headers=told | media_type))


@pytest.mark.parametrize("length", ["", "-1", "1e3", "0x10", "9" * 400, "²", " 12", "NaN"])
def test_header_length_that_is_no_number(client, length):
    headers = {HEADER: length.encode("latin-1"), "content-type": "application/octet-stream"}
    assert answered(client.post(INFER_PATH, content=b"{}", headers=headers)) == 400


@pytest.mark.parametrize("version", ["1", "release-8", "../..", "%00", "é" * 50])
def test_unknown_versions_are_not_found(client, version):
    from urllib.parse import quote

    url = f"/v2/models/recommender/versions/{quote(version, safe='')}/infer"
    assert answered(client.post(url, content=b"{}")) == 404
