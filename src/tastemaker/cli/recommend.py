"""``tastemaker recommend`` and ``tastemaker send``: talk to the running stack as a shop does."""

from typing import Annotated, Any

import httpx
import typer
from rich.table import Table

from tastemaker.cli import recommend_batch
from tastemaker.cli.console import console, current_settings
from tastemaker.cli.credentials import credentials
from tastemaker.errors import ServingError

__all__ = ["app", "fetch_list", "post_events", "recommend", "render_list", "send"]

app = typer.Typer()
app.command("batch")(recommend_batch.batch)


def _call(method: str, url: str, what: str, body: dict[str, Any]) -> dict[str, Any]:
    try:
        response = httpx.request(method, url, json=body, timeout=10, **credentials(url))
    except httpx.HTTPError as error:
        raise ServingError(
            f"the {what} at {url} does not answer ({error}); start the stack with: tastemaker up"
        ) from error
    if response.status_code not in {200, 202}:
        raise ServingError(f"the {what} answered {response.status_code}: {_problem(response)}")
    answer: dict[str, Any] = response.json()
    return answer


def _problem(response: httpx.Response) -> str:
    """What the answer says is wrong, in a line: the collector's results, or the recommender's error."""
    try:
        body = response.json()
    except ValueError:
        return response.text
    refused = [result for result in body.get("results", ()) if result.get("problem")]
    parts = (refused or [body.get("error", body)])[0]
    words = (parts.get(name) for name in ("field", "problem", "remedy")) if isinstance(parts, dict) else (str(parts),)
    return ": ".join(word for word in words if word)


def fetch_list(recommender_url: str, **request: object) -> dict[str, Any]:
    """Ask the recommender for a list; the request's fields are those of ``RecommendationRequest``.

    Raises:
        ServingError: it does not answer, or refuses the request.
    """
    body = {name: value for name, value in request.items() if value not in (None, ())}
    return _call("POST", f"{recommender_url}/v1/recommend", "recommender", body)


def post_events(collector_url: str, events: list[dict[str, Any]]) -> dict[str, Any]:
    """Send events to the collector.

    Raises:
        ServingError: it does not answer, or refuses an event.
    """
    return _call("POST", f"{collector_url}/v1/events", "collector", {"events": events})


def render_list(answer: dict[str, Any], title: str, before: list[str] | None = None) -> Table:
    """A list as a table; with the ids of a list shown before, each row says how it moved."""
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("#", justify="right", style="dim")
    if before is not None:
        table.add_column("moved", justify="center")
    table.add_column("title")
    table.add_column("reason", style="cyan")
    table.add_column("score", justify="right")
    for place, item in enumerate(answer.get("items", []), 1):
        row = [str(place)]
        if before is not None:
            row.append(_movement(item["item_id"], place, before))
        table.add_row(*row, item["title"], item["reason"], f"{item['score']:.3f}")
    for name, said in (("unknown_items", "not in the catalogue"), ("stale", "too old, so at their defaults")):
        if answer.get(name):
            table.title = f"{table.title} · {said}: {', '.join(answer[name])}"
    caption = f"release {answer['release']} · tier {answer['tier']} · request {answer['request_id']}"
    table.caption = caption + (f"\n{answer['tier_reason']}" if answer.get("tier_reason") else "")
    table.caption_justify = "left"
    return table


def _movement(item_id: str, place: int, before: list[str]) -> str:
    if item_id not in before:
        return "[bold green]new[/]"
    was = before.index(item_id) + 1
    if was == place:
        return "[dim]·[/]"
    return f"[green]▲{was - place}[/]" if was > place else f"[yellow]▼{place - was}[/]"


@app.callback(invoke_without_command=True)
def recommend(
    context: typer.Context,
    user: Annotated[str | None, typer.Option(help="A customer's id, such as 17850 in Online Retail.")] = None,
    session: Annotated[str | None, typer.Option(help="A visit's id, for shoppers who are not known.")] = None,
    k: Annotated[int, typer.Option("--k", "-k", min=1, max=100, help="How many items.")] = 10,
    surface: Annotated[
        str, typer.Option(help="What the list is for: home, similar, bought_together, category, search, cart, ...")
    ] = "home",
    item: Annotated[
        list[str] | None, typer.Option(help="The page's item, or one of a cart or a search; may be repeated.")
    ] = None,
    category: Annotated[str | None, typer.Option(help="The page's category, its levels joined with '/'.")] = None,
    query: Annotated[str | None, typer.Option(help="The text that was searched for.")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Also print each source's score and the features.")
    ] = False,
) -> None:
    """Print a list from the running recommender: title, reason, score.

    For example `tastemaker recommend --surface similar --item 85123A`. For all users: `tastemaker recommend batch`.

    Next: `tastemaker send --user ID --item ID` and ask again, to see the list react.
    """
    if context.invoked_subcommand is not None:
        return
    answer = fetch_list(
        current_settings().recommender_url,
        user=user,
        session=session,
        k=k,
        surface=surface,
        items=tuple(item or ()),
        category=category,
        query=query,
        explain=explain or None,
    )
    whom = f"customer {user}" if user else f"session {session}" if session else "a new visitor"
    console.print(render_list(answer, f"For {whom}"))
    if explain:
        for listed in answer["items"]:
            details = ", ".join(f"{name} {value:.4g}" for name, value in listed.get("details", {}).items())
            console.print(f"[bold]{listed['item_id']}[/] {details}", highlight=False)


def send(
    item: Annotated[str, typer.Option(help="The item's id.")],
    type: Annotated[str, typer.Option(help="view, cart_add, purchase, wishlist, like, ...")] = "view",
    user: Annotated[str | None, typer.Option(help="The customer's id.")] = None,
    session: Annotated[str | None, typer.Option(help="The visit's id; one of user and session is needed.")] = None,
    value: Annotated[float | None, typer.Option(help="Price × quantity of a purchase; stars of a rating.")] = None,
    request_id: Annotated[str | None, typer.Option(help="The served list that this answers.")] = None,
    corrects: Annotated[
        str | None, typer.Option(help="The event whose place this one takes; of type retraction, it leaves it empty.")
    ] = None,
) -> None:
    """Send one event to the collector, stamped with the platform's time.

    Next: `tastemaker recommend --user ID` shows what it changed.
    """
    fields = {"type": type, "user_id": user, "session_id": session, "item_id": item, "value": value}
    fields |= {"request_id": request_id, "corrects": corrects}
    event = {name: field for name, field in fields.items() if field is not None}
    answer = post_events(current_settings().collector_url, [event])
    console.print(f"accepted: {answer['results'][0]['event_id']}")
