"""The protocol's gRPC messages: classes that the generated module builds as it is imported."""

from typing import Any

from tastemaker.serving.oip import grpc_predict_v2_pb2

__all__ = ["messages"]

messages: Any = grpc_predict_v2_pb2
