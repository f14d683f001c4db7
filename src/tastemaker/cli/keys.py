"""``tastemaker keys``: who may call the collector and the recommender."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from tastemaker.cli.console import console, current_settings, errors
from tastemaker.cli.durations import age_text, parse_duration
from tastemaker.clock import from_us, wall_us
from tastemaker.errors import DataError
from tastemaker.serving.access.keys import Scope

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="""API keys of the collector and the recommender. The first one closes both to callers without a key; changes
are seen within a second, without a restart.

A caller sends `authorization: Bearer KEY` or `x-api-key: KEY`; this command line sends what the environment variable
TASTEMAKER_API_KEY holds.""",
)
_STYLES = {"active": "green", "rotating": "yellow", "expired": "dim", "revoked": "dim"}
_KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `tastemaker keys list` shows it.")]


@app.command("create")
def create_command(
    name: Annotated[str, typer.Argument(help="Who will use it, such as: storefront.")],
    scope: Annotated[
        list[str],
        typer.Option(
            "--scope", "-s", help="recommend, write-events or administer (items, metrics); may stand more than once."
        ),
    ],
    rate: Annotated[float, typer.Option(min=0, help="Requests per second in the long run; 0 is without limit.")] = 100,
    burst: Annotated[
        int | None, typer.Option(min=1, help="Requests that may come at once; twice the rate when left out.")
    ] = None,
    expires: Annotated[str | None, typer.Option(help="When it ends by itself, such as 90d.")] = None,
) -> None:
    """Make a key and print it, this once: only its hash is kept.

    The key alone goes to standard output: `KEY=$(tastemaker keys create storefront --scope recommend)`.
    """
    from tastemaker.serving.access.key_file import create_key

    now_us = wall_us()
    key, token = create_key(
        _path(),
        name,
        [_scope(text) for text in scope],
        now_us=now_us,
        rate=rate,
        burst=burst or max(int(rate * 2), 1),
        expires_us=None if expires is None else now_us + parse_duration(expires) // timedelta(microseconds=1),
    )
    limit = f"{key.rate:g} requests/s, {key.burst} at once" if key.rate else "without limit"
    errors.print(f"key {key.id} for {key.name}: {', '.join(key.scopes)}; {limit}", markup=False, highlight=False)
    errors.print("It is shown this once; keep it where secrets are kept.", style="dim")
    typer.echo(token)


@app.command("list")
def list_command(as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """Show the keys, without their secrets."""
    from tastemaker.serving.access.key_file import read_keys

    now_us = wall_us()
    keys = read_keys(_path())
    if as_json:
        shown = [
            {
                "id": key.id,
                "name": key.name,
                "scopes": list(key.scopes),
                "state": key.state(now_us),
                "created": from_us(key.created_us).isoformat(),
                "rotated": from_us(key.secrets[0].created_us).isoformat() if key.secrets else None,
                "expires": None if key.expires_us is None else from_us(key.expires_us).isoformat(),
                "rate": key.rate,
                "burst": key.burst,
            }
            for key in keys
        ]
        typer.echo(json.dumps(shown, indent=2))
        return
    if not keys:
        console.print("There are no keys, so the collector and the recommender are open to this machine alone.")
        return
    table = Table("id", "name", "scopes", "state", "secret", "expires", "rate", box=box.SIMPLE_HEAD, pad_edge=False)
    table.columns[1].overflow = "fold"
    for key in keys:
        state = key.state(now_us)
        age = age_text(from_us(now_us) - from_us(key.secrets[0].created_us)) + " old" if key.secrets else ""
        ends = "" if key.expires_us is None else f"{from_us(key.expires_us):%Y-%m-%d %H:%M}"
        rate = f"{key.rate:g}/s" if key.rate else "no limit"
        scopes = "\n".join(key.scopes)
        table.add_row(key.id, key.name, scopes, f"[{_STYLES[state]}]{state}[/]", age, ends, rate)
    console.print(table)


@app.command("rotate")
def rotate_command(
    key_id: _KeyId,
    grace: Annotated[str, typer.Option(help="How long the older secret stays valid; 0 ends it at once.")] = "24h",
) -> None:
    """Give a key a new secret and print it. Both work until the grace period ends; then the older one is refused."""
    from tastemaker.serving.access.key_file import rotate_key

    grace_s = 0.0 if grace.strip() in {"0", "0s"} else parse_duration(grace).total_seconds()
    key, token = rotate_key(_path(), key_id, now_us=wall_us(), grace_s=grace_s)
    until = f"until {from_us(key.secrets[1].until_us or 0):%Y-%m-%d %H:%M} UTC" if len(key.secrets) > 1 else "no longer"
    errors.print(f"key {key.id} of {key.name} has a new secret; the older one works {until}", highlight=False)
    typer.echo(token)


@app.command("revoke")
def revoke_command(key_id: _KeyId) -> None:
    """Refuse a key from now on. That cannot be undone; the entry stays in the list."""
    from tastemaker.serving.access.key_file import revoke_key

    key = revoke_key(_path(), key_id, now_us=wall_us())
    console.print(f"key {key.id} of {key.name} is revoked", highlight=False)


def _path() -> Path:
    return current_settings().api_keys_path


def _scope(text: str) -> Scope:
    try:
        return Scope(text)
    except ValueError as error:
        raise DataError(f"{text!r} is no scope; use any of: {', '.join(Scope)}") from error
