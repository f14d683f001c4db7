"""``tastemaker rules``: what merchandisers want, changed while lists are served, each change on record."""

import getpass
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from tastemaker.cli.console import console, current_settings, errors
from tastemaker.cli.rule_view import about, changes_table, does, fields, moment, state, touches
from tastemaker.errors import DataError

if TYPE_CHECKING:
    from tastemaker.serving.rerank.rule import Rule
    from tastemaker.serving.rerank.rule_log import RuleLog
    from tastemaker.settings import Settings

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="Boost, bury, pin, exclude and cap items, on surfaces and for a time. A running recommender follows within a"
    " second, without a deploy; every change is kept with who made it, when, and why.",
)

Who = Annotated[str, typer.Option(help="Who makes the change; you, if not given.")]
Why = Annotated[str, typer.Option(help="Why, for those who look at the history.")]
AsJson = Annotated[bool, typer.Option("--json", help="For machines: one array.")]
Several = list[str] | None


@app.command("list")
def list_command(
    all_: Annotated[bool, typer.Option("--all", help="Also those that are disabled or over.")] = False,
    surface: Annotated[str | None, typer.Option(help="Only rules that hold on this surface.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the rules in the order in which they are applied: what each does, to which items, where and when.

    Next: `tastemaker rules show ID` for one rule and how it came about.
    """
    settings = current_settings()
    now = settings.clock.now()
    rules = _log(settings).read().rules
    shown = [
        rule
        for rule in rules.rules
        if (all_ or state(rule, now) in {"on", "to come"})
        and (surface is None or not rule.where.surfaces or surface in rule.where.surfaces)
    ]
    if as_json:
        console.print_json(json.dumps([fields(rule) | {"state": state(rule, now)} for rule in shown]))
        return
    console.print(f"{len(shown):,} of {_count(len(rules))}, version {rules.version}", highlight=False)
    if not shown:
        console.print("`tastemaker rules add --help` has examples; --all shows what is disabled or over.")
        return
    table = Table()
    table.add_column("id", overflow="fold", min_width=12)
    for name in ("does", "to", "on", "from", "until", "state", "owner"):
        table.add_column(name)
    for rule in shown:
        surfaces = ", ".join(rule.where.surfaces) or "every surface"
        since, until = moment(rule.since), moment(rule.until)
        table.add_row(rule.id, does(rule), about(rule), surfaces, since, until, state(rule, now), rule.owner)
    console.print(table, markup=False)


@app.command("show")
def show_command(rule_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")]) -> None:
    """Show one rule whole, what it contradicts, and every change that it went through.

    Next: `tastemaker rules disable ID --why ...`, or `tastemaker rules add --replace` with all of its options.
    """
    import yaml

    from tastemaker.serving.rerank.contradictions import contradictions

    settings = current_settings()
    folded = _log(settings).read()
    rule = folded.rules.by_id.get(rule_id)
    if rule is None:
        raise DataError(f"no rule is called {rule_id}; `tastemaker rules list --all` has them")
    console.print(f"{rule.id} is {state(rule, settings.clock.now())}: {does(rule)} {about(rule)}", highlight=False)
    text = yaml.safe_dump(fields(rule), sort_keys=False, allow_unicode=True)
    console.print(text.rstrip(), highlight=False, markup=False, soft_wrap=True)
    for line in contradictions(folded.rules.rules):
        if rule.id in line.rules:
            console.print(f"contradiction: {line.text}", highlight=False, markup=False, soft_wrap=True)
    console.print(changes_table([change for change in folded.changes if touches(change, rule_id)]), markup=False)


@app.command("add")
def add_command(
    rule_id: Annotated[str, typer.Argument(metavar="[ID]", help="A name of your own, such as winter-mugs.")] = "",
    kind: Annotated[str, typer.Option(help="boost, bury, pin, exclude or cap.")] = "",
    category: Annotated[Several, typer.Option(help="Items of this path, such as kitchen/mugs, or below.")] = None,
    brand: Annotated[Several, typer.Option(help="Items of this brand.")] = None,
    item: Annotated[Several, typer.Option(help="This item id.")] = None,
    price_from: Annotated[float | None, typer.Option(help="Items of this price or more.")] = None,
    price_to: Annotated[float | None, typer.Option(help="Items of this price or less.")] = None,
    surface: Annotated[Several, typer.Option(help="Only on this surface, such as home.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="From when, such as 2026-11-27T18:00, in UTC.")] = None,
    until: Annotated[str | None, typer.Option(help="Until when, exclusive, in UTC.")] = None,
    strength: Annotated[float | None, typer.Option(help="For boost and bury: 2.7 is one standard deviation.")] = None,
    position: Annotated[int | None, typer.Option(help="For pin: 1 is the first place.")] = None,
    limit: Annotated[int | None, typer.Option(help="For cap: so many items per list.")] = None,
    note: Annotated[str, typer.Option(help="Anything else worth knowing.")] = "",
    owner: Annotated[str, typer.Option(help="Who answers for the rule; you, if not given.")] = "",
    file: Annotated[Path | None, typer.Option(help="Add all rules of a YAML or JSON file, or none.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Change rules that have these ids already.")] = False,
    who: Who = "",
    why: Why = "",
) -> None:
    """Add a rule, or those of a file. It holds within a second.

    Conditions of one kind are alternatives; those of several kinds must all hold.

    Half as much again for a campaign:  `tastemaker rules add winter-mugs --kind boost --strength 1.5
    --category kitchen/mugs --from 2026-11-01 --until 2027-01-01 --why "winter campaign"`

    The best mug at the third place of the home page:  `tastemaker rules add mug-of-the-week --kind pin --position 3
    --category kitchen/mugs --surface home --why "mug of the week"`

    Next: `tastemaker rules list`.
    """
    from tastemaker.serving.rerank.contradictions import contradictions
    from tastemaker.serving.rerank.rule_file import rule_from

    settings = current_settings()
    if bool(rule_id) == (file is not None):
        raise DataError("say which rule to add: an ID with its options, or --file with a file of rules")
    if file is not None:
        rules, problems = _read(file)
        if problems:
            raise DataError(
                f"{file}: {problems[0]}" + (f" (and {len(problems) - 1} more)" if problems[1:] else "")
                + "; nothing was added; `tastemaker rules check` lists all that is wrong"
            )  # fmt: skip
    else:
        where = {
            "surfaces": surface, "categories": category, "brands": brand, "item_ids": item, "price_from": price_from,
            "price_to": price_to,
        }  # fmt: skip
        given = {
            "id": rule_id, "owner": owner or _me(), "kind": kind, "where": _present(where), "from": since,
            "until": until, "strength": strength, "position": position, "limit": limit, "note": note,
        }  # fmt: skip
        rules = [rule_from(_present(given))]
    log = _log(settings)
    change = log.add(rules, who=who or _me(), at=settings.clock.now(), why=_reason(why), replace=replace)
    console.print(f"{change.what}: {_count(len(rules))}, now version {change.version}", highlight=False)
    ids = {rule.id for rule in rules}
    for line in contradictions(log.read().rules.rules):
        if ids & set(line.rules):
            errors.print(f"contradiction: {line.text}", highlight=False, markup=False, soft_wrap=True)


@app.command("disable")
def disable_command(
    rule_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="As `list` shows them.")],
    who: Who = "",
    why: Why = "",
) -> None:
    """Switch rules off within a second. They stay on record, and `tastemaker rules enable` switches them on again."""
    _switch(rule_ids, who, why, enabled=False)


@app.command("enable")
def enable_command(
    rule_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="As `list --all` shows them.")],
    who: Who = "",
    why: Why = "",
) -> None:
    """Switch rules on again that were disabled."""
    _switch(rule_ids, who, why, enabled=True)


@app.command("history")
def history_command(
    rule_id: Annotated[str, typer.Argument(metavar="[ID]", help="Only changes of this rule.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many of the newest to show.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show who changed what, when and why, the newest first, with the version that served lists name.

    Next: `tastemaker rules show ID`.
    """
    settings = current_settings()
    changes = [change for change in _log(settings).read().changes[::-1] if not rule_id or touches(change, rule_id)]
    if as_json:
        import msgspec

        console.print_json(msgspec.json.encode(changes[:limit]).decode())
        return
    if rule_id and not changes:
        raise DataError(f"no rule was ever called {rule_id}; `tastemaker rules history` shows all changes")
    console.print(f"{len(changes):,} change{'' if len(changes) == 1 else 's'}", highlight=False)
    if changes:
        console.print(changes_table(changes[:limit]), markup=False)
    if len(changes) > limit:
        console.print(f"… and {len(changes) - limit:,} more: --limit shows them.")


@app.command("check")
def check_command(
    file: Annotated[Path, typer.Argument(help="YAML or JSON: a list of rules, or `rules:` with such a list.")],
) -> None:
    """Check a file of rules for import: every rule by itself, and against each other and the rules in force.

    Changes nothing. Exits with 1 if a rule cannot be used; contradictions are told, with what serving would do.

    Next: `tastemaker rules add --file FILE --why ...`.
    """
    from tastemaker.serving.rerank.contradictions import contradictions

    settings = current_settings()
    rules, problems = _read(file)
    present = _log(settings).read().rules.by_id
    now = settings.clock.now()
    together = {**present, **{rule.id: rule for rule in rules}}
    for line in contradictions(together.values()):
        console.print(f"contradiction: {line.text}", highlight=False, markup=False, soft_wrap=True)
    for rule in rules:
        if state(rule, now) == "over":
            console.print(f"{rule.id} is over since {moment(rule.until)}: it will do nothing", highlight=False)
    known = sum(rule.id in present for rule in rules)
    for problem in problems:
        errors.print("[bold red]error:[/] ", end="")
        errors.print(problem, highlight=False, markup=False, soft_wrap=True)
    also = f", {known:,} of them replace one (needs --replace)" if known else ""
    console.print(f"{_count(len(rules))} can be added{also}; {len(problems):,} cannot", highlight=False)
    if problems:
        raise typer.Exit(1)


def _switch(rule_ids: list[str], who: str, why: str, *, enabled: bool) -> None:
    settings = current_settings()
    at = settings.clock.now()
    change = _log(settings).switch(rule_ids, enabled=enabled, who=who or _me(), at=at, why=_reason(why))
    ids = ", ".join(rule.id for rule in change.rules)
    console.print(f"{change.what}: {ids}; now version {change.version}", highlight=False, markup=False)


def _log(settings: "Settings") -> "RuleLog":
    from tastemaker.serving.rerank.rule_log import RuleLog, rules_path

    return RuleLog(rules_path(settings.home))


def _read(file: Path) -> tuple[list["Rule"], list[str]]:
    from tastemaker.serving.rerank.rule_file import read_rule_file

    return read_rule_file(file)


def _count(rules: int) -> str:
    return f"{rules:,} rule{'' if rules == 1 else 's'}"


def _me() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:  # a container's user without a name
        raise DataError(
            "this machine does not know your name; say --who NAME (and --owner NAME for a new rule)"
        ) from error


def _reason(why: str) -> str:
    if not why.strip():
        raise DataError('say why, for those who look at the history: --why "winter campaign"')
    return why


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "", [], {})}
