"""Checks of what serving the release will be like."""

from tastemaker.promotion import policy_limits as policy
from tastemaker.promotion.checks.outcome import decided, unmeasured
from tastemaker.promotion.evidence import Evidence
from tastemaker.promotion.verdict import CheckResult

__all__ = ["serving", "size", "train_serve_parity"]

_MIB = 2**20


def train_serve_parity(limits: policy.ParityLimits, evidence: Evidence) -> CheckResult:
    """Whether training and serving see the same feature values."""
    name = "train_serve_parity"
    parity = evidence.parity
    if parity is None or not parity.rows or not parity.columns:
        return unmeasured(
            name, "training and serving features were not compared", "compare them on the release's test users"
        )
    found = f"{parity.rows:,} rows × {parity.columns} features: at most {parity.max_difference:.2g} apart"
    if parity.one_sided:
        found += f", {parity.one_sided:,} values on one side alone"
    return decided(
        name,
        parity.max_difference <= limits.max_difference and not parity.one_sided,
        found,
        f"rebuild the online store from the lake; the feature furthest apart is {parity.worst}",
        value=parity.max_difference,
        limit=limits.max_difference,
    )


def serving(limits: policy.ServingLimits, evidence: Evidence) -> CheckResult:
    """Latency and memory of the built Bento under a short load."""
    found = evidence.serving
    if found is None or found.requests < limits.min_requests:
        sent = "no load was put on its Bento" if found is None else f"its Bento was asked {found.requests} times"
        return unmeasured("serving", sent, "measure it: tastemaker gate --release RELEASE --load")
    problems = [
        words
        for words, bad in (
            ("answers fail", found.failed > limits.max_failed_share * found.requests),
            ("it is slow", found.p99_ms > limits.max_p99_ms),
            ("it needs too much memory", found.memory_mb > limits.max_memory_mb),
        )
        if bad
    ]
    return decided(
        "serving",
        not problems,
        f"{found.bento}: {found.requests:,} requests, {found.failed} failed, p50 {found.p50_ms:.1f} ms, p99"
        f" {found.p99_ms:.1f} ms (at most {limits.max_p99_ms:g}), {found.memory_mb:,.0f} MiB (at most"
        f" {limits.max_memory_mb:,.0f})",
        f"{' and '.join(problems)}: compare its log, candidates per list and size with the champion's",
        value=found.p99_ms,
        limit=limits.max_p99_ms,
    )


def size(limits: policy.SizeLimits, evidence: Evidence) -> CheckResult:
    """How large the release is."""
    if evidence.contents is None:
        return unmeasured("size", "the release's size was not taken", "collect the contents when training")
    megabytes = evidence.contents.size_bytes / _MIB
    return decided(
        "size",
        0 < megabytes <= limits.max_mb,
        f"{megabytes:,.1f} MiB in {len(evidence.files):,} files",
        "shrink the towers or the co-visitation tables, or give serving more memory and raise the limit",
        value=megabytes,
        limit=limits.max_mb,
    )
