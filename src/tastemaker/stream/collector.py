"""The collector as a process: ``python -m tastemaker.stream.collector`` serves it with the environment's settings."""

import signal
import sys

from tastemaker.errors import TastemakerError
from tastemaker.settings import Settings
from tastemaker.stream.logs import set_up_logging

__all__ = ["main"]


def main() -> int:
    """Serve until SIGTERM or Ctrl-C, with the environment's settings."""
    import uvicorn

    from tastemaker.broker.background import BackgroundProducer
    from tastemaker.broker.kafka import KafkaConsumer, KafkaProducer
    from tastemaker.lake.tables import Lake
    from tastemaker.serving.access.binding import check_binding
    from tastemaker.serving.access.bounded_http import BoundedHttpProtocol
    from tastemaker.serving.access.gate import Gate
    from tastemaker.serving.access.redaction import keep_keys_out_of_logs
    from tastemaker.serving.access.tls import check_certificate, uvicorn_options
    from tastemaker.stream.app import create_app
    from tastemaker.stream.backfill import imported_items
    from tastemaker.stream.catalogue import Catalogue
    from tastemaker.stream.limits import Limits

    set_up_logging()
    keep_keys_out_of_logs()
    try:
        settings = Settings.from_env()
        check_certificate(settings)
        check_binding([settings.serving_host], Gate.of(settings), allow_open=settings.allow_open, what="the collector")
    except TastemakerError as error:
        print(error, file=sys.stderr)
        return 1
    # uvicorn handles the signals while it serves, and raises them again when it is done: here, to end with status 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    producer = BackgroundProducer(lambda: KafkaProducer(settings, max_block_s=2.0), capacity=20_000)
    app = create_app(
        producer,
        Catalogue(lambda: KafkaConsumer(settings), imported_items(Lake(settings.lake_dir))),
        clock=settings.clock,
        limits=Limits(body_bytes=settings.max_body_bytes),
        reject_unknown_items=settings.unknown_items == "reject",
        on_close=producer.close,
        settings=settings,
    )
    uvicorn.run(
        app,
        host=settings.serving_host,
        port=settings.collector_port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
        http=BoundedHttpProtocol,
        **uvicorn_options(settings),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
