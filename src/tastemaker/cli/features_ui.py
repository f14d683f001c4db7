"""``tastemaker features ui``: Feast's own pages over the registry, on this machine alone."""

import importlib.util
from typing import Annotated

import typer

from tastemaker.cli.console import console, current_settings
from tastemaker.errors import DataError, StackError

__all__ = ["ui_command"]

_EXTRA = ("grpc_health", "grpc_reflection")


def ui_command(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where to listen, on 127.0.0.1.")] = 8888,
    writable: Annotated[
        bool, typer.Option("--writable", help="Let the pages change the registry; they do so without a password.")
    ] = False,
) -> None:
    """Show the declarations in Feast's own pages until Ctrl-C: entities, sources, views, services and their lineage.

    Only this machine can reach them, and they only show: what is declared is changed in feature_repo/.
    """
    missing = [name for name in _EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        raise DataError("Feast's pages need two packages more; install them with: pip install 'tastemaker[feast-ui]'")
    settings = current_settings()
    if not (settings.feast_dir / "registry.db").exists():
        raise DataError(f"nothing is registered in {settings.feast_dir} yet; run `tastemaker features apply` first")
    import socket

    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise StackError(f"127.0.0.1:{port} is taken; choose another one with --port")
    console.print("Reading the registry …", style="dim")
    from tastemaker.features.feast.pages import serve_pages

    serve_pages(
        settings,
        port,
        lambda: console.print(f"Feast's pages: [cyan]http://127.0.0.1:{port}[/]   Ctrl-C ends them."),
        writable=writable,
    )
