"""Indexes of item vectors: exact for small catalogues, approximate for large ones, and kept up while they are asked."""

from tastemaker.retrieval.allowed import Allowed
from tastemaker.retrieval.index.live import EXACT_LIMIT, IndexParameters, VectorIndex
from tastemaker.retrieval.index.protocol import CandidateIndex

__all__ = ["EXACT_LIMIT", "Allowed", "CandidateIndex", "IndexParameters", "VectorIndex"]
