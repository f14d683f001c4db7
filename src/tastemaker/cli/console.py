"""What every command shares: the consoles and the settings of the running stack."""

from rich.console import Console

from tastemaker.settings import Settings

__all__ = ["console", "current_settings", "errors", "fail"]

console = Console()
errors = Console(stderr=True)


def fail(message: str) -> None:
    """Print an error the way every command does."""
    errors.print("[bold red]error:[/] ", end="")
    errors.print(message, highlight=False, markup=False)


def current_settings() -> Settings:
    """The settings of the stack that runs on this home, else those of the environment.

    A running stack may have moved a busy port; whoever talks to it must use the port that it has.
    """
    from tastemaker.stack.record import read_stack

    settings = Settings.from_env()
    record = read_stack(settings)
    return record.settings if record else settings
