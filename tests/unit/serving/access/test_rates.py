"""The token bucket."""

from hypothesis import given
from hypothesis import strategies as st

from tastemaker.serving.access.rates import TokenBucket


def test_burst_comes_at_once_and_then_the_rate():
    bucket = TokenBucket(rate=2.0, burst=3, now_s=0.0)
    assert [bucket.take(0.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    # empty at 0 s, two come back per second: the next is there after half a second
    assert bucket.take(0.0) == 0.5
    assert bucket.take(0.5) == 0.0


def test_long_pause_fills_no_more_than_the_burst():
    bucket = TokenBucket(rate=100.0, burst=2, now_s=0.0)
    assert [bucket.take(1e6) > 0 for _ in range(3)] == [False, False, True]


def test_rate_of_zero_is_without_limit():
    bucket = TokenBucket(rate=0.0, burst=1, now_s=0.0)
    assert all(bucket.take(0.0) == 0.0 for _ in range(1000))


def test_what_was_spent_beyond_is_owed():
    bucket = TokenBucket(rate=1.0, burst=1, now_s=0.0)
    assert bucket.take(0.0) == 0.0
    bucket.spend(9)
    # 9 owed and 1 to take: 10 seconds at one per second
    assert bucket.take(0.0) == 10.0


def test_clock_that_goes_back_gives_nothing():
    bucket = TokenBucket(rate=1.0, burst=1, now_s=100.0)
    bucket.take(100.0)
    assert bucket.take(50.0) > 0


@given(
    rate=st.floats(0.1, 1000),
    burst=st.integers(1, 50),
    pauses=st.lists(st.floats(0, 5), max_size=200),
)
def test_never_more_than_burst_and_rate_allow(rate, burst, pauses):
    bucket, now, passed = TokenBucket(rate, burst, 0.0), 0.0, 0
    for pause in pauses:
        now += pause
        passed += bucket.take(now) == 0.0
    assert passed <= burst + rate * now + 1e-6
