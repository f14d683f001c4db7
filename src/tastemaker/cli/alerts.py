"""``tastemaker alerts``: what on-call is told of, silenced, and tried out."""

import getpass
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from tastemaker.cli.console import console, current_settings
from tastemaker.cli.durations import age_text, parse_duration
from tastemaker.errors import DataError, StackError
from tastemaker.settings import Settings

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="""Alerts to on-call: those that fire, silences, and a test of the way to the receivers.

They come from the rules in monitoring/prometheus/rules and from flows. `tastemaker up --monitoring` runs Prometheus and
Alertmanager; PROMETHEUS_URL and ALERTMANAGER_URL name others. docs/runbooks has a page for each alert.""",
)
_STYLES = {"page": "red", "ticket": "yellow"}


@app.command("list")
def list_command(as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """Show the alerts that fire, the silences, and the alerts that wait for Alertmanager."""
    from tastemaker.observability.alerts import waiting_alerts

    settings = current_settings()
    waiting = waiting_alerts(settings)
    client = _client(settings)
    try:
        alerts, silences = client.alerts(), client.silences()
    except StackError:
        for item in waiting:
            console.print(
                f"waits since {item.at:%Y-%m-%d %H:%M}: {item.alert.name}: {item.alert.summary}", markup=False
            )
        raise
    finally:
        client.close()
    if as_json:
        typer.echo(json.dumps({"alerts": alerts, "silences": silences, "waiting": len(waiting)}, indent=2))
        return
    if alerts:
        console.print(_table(alerts))
    else:
        console.print("No alert fires.")
    for silence in silences:
        said = " ".join(f"{matcher['name']}={matcher['value']}" for matcher in silence["matchers"])
        console.print(
            f"silence {silence['id']}: {said}, until {_moment(silence['endsAt']):%Y-%m-%d %H:%M} UTC, "
            f"{silence['createdBy']}: {silence['comment']}",
            markup=False,
            highlight=False,
        )
    if waiting:
        console.print(f"{len(waiting)} alerts wait for Alertmanager; send them with: tastemaker alerts send")


@app.command("silence")
def silence_command(
    labels: Annotated[
        list[str] | None, typer.Argument(metavar="LABEL=VALUE...", help="Such as: alertname=Drift kind=features.")
    ] = None,
    lasts: Annotated[str, typer.Option("--for", help="How long, such as 2h or 3d.")] = "2h",
    comment: Annotated[str, typer.Option("--comment", "-c", help="Why; colleagues read it.")] = "",
    by: Annotated[str | None, typer.Option("--by", help="Who; the login name when left out.")] = None,
    end: Annotated[str | None, typer.Option("--end", metavar="ID", help="End this silence instead.")] = None,
) -> None:
    """Send no notifications for the alerts that have all these labels, for a while. They go on being shown."""
    settings = current_settings()
    client = _client(settings)
    try:
        if end is not None:
            client.end_silence(end)
            console.print(f"The silence {end} is over.")
            return
        if not labels:
            raise DataError("name the labels of what is to be silent, such as: alertname=Drift kind=features")
        if not comment:
            raise DataError("say why with --comment, so that whoever finds the silence knows")
        now = datetime.now(UTC)
        ends = now + parse_duration(lasts)
        made = client.silence(_matchers(labels), begins=now, ends=ends, by=by or getpass.getuser(), comment=comment)
        console.print(f"Silent until {ends:%Y-%m-%d %H:%M} UTC; end it with: tastemaker alerts silence --end {made}")
    finally:
        client.close()


@app.command("test")
def try_command(
    severity: Annotated[str, typer.Option(help="page or ticket: who is to get it.")] = "ticket",
    lasts: Annotated[str, typer.Option("--for", help="After this it is resolved by itself.")] = "5m",
) -> None:
    """Send an alert that means nothing, to see that it arrives. Exits 1 when Alertmanager does not take it."""
    from tastemaker.observability.alerts import post_alert
    from tastemaker.observability.flow_alerts import alert_of_a_test

    if severity not in _STYLES:
        raise DataError(f"the severity {severity!r} is not one of {', '.join(_STYLES)}")
    settings = current_settings()
    _client(settings).close()  # says what is missing
    outcome = post_alert(
        settings, alert_of_a_test("page" if severity == "page" else "ticket"), lasts=parse_duration(lasts)
    )
    if outcome != "sent":
        raise StackError(f"{settings.alertmanager} did not take it; it waits, and is sent with the next alert")
    console.print(f"Alertmanager has it: {severity}, over in {lasts}. It arrives when its group has waited.")


@app.command("send")
def send_command() -> None:
    """Send the alerts that wait since Alertmanager was away."""
    from tastemaker.observability.alerts import send_waiting

    console.print(f"{send_waiting(current_settings())} sent.")


def _client(settings: Settings) -> Any:
    from tastemaker.observability.alertmanager import Alertmanager

    if not settings.alertmanager:
        raise StackError("there is no Alertmanager; run `tastemaker up --monitoring`, or set ALERTMANAGER_URL")
    return Alertmanager(settings.alertmanager)


def _matchers(labels: Sequence[str]) -> list[tuple[str, str]]:
    matchers = []
    for text in labels:
        name, sign, value = text.partition("=")
        if not sign or not name or not value:
            raise DataError(f"{text!r} is not LABEL=VALUE, such as alertname=Drift")
        matchers.append((name, value))
    return matchers


def _table(alerts: Sequence[dict[str, Any]]) -> Table:
    table = Table("severity", "alert", "of", "since", "state", "what is wrong")
    now = datetime.now(UTC)
    shown = {"alertname", "severity", "owner", "component"}
    for alert in sorted(alerts, key=lambda one: (one["labels"].get("severity", ""), one["startsAt"])):
        labels, status = alert["labels"], alert["status"]
        state = "silenced" if status["silencedBy"] else "inhibited" if status["inhibitedBy"] else "firing"
        severity = labels.get("severity", "")
        of = " ".join([labels.get("component", ""), *(f"{k}={v}" for k, v in labels.items() if k not in shown)])
        age = age_text(now - _moment(alert["startsAt"]))
        table.add_row(
            f"[{_STYLES.get(severity, 'dim')}]{severity}[/]",
            labels.get("alertname", ""),
            of,
            age,
            state,
            alert["annotations"].get("summary", ""),
        )
    return table


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
