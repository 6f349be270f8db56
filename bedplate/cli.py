"""The command line. One file per command in ``bedplate/commands``; this one only puts them together."""

import sys
from importlib import import_module
from pkgutil import iter_modules

import typer

from bedplate import commands
from bedplate.console import print_error
from bedplate.errors import BedplateError
from bedplate.errors import __doc__ as exit_codes

app = typer.Typer(
    name="bedplate",
    epilog=(exit_codes or "").split("\n\n", 1)[1].replace("\n", " "),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def bedplate() -> None:
    """From one inventory to your own AI platform, rehearsed on a virtual twin first."""


for module in iter_modules(commands.__path__):
    import_module(f"bedplate.commands.{module.name}").register(app)


def main() -> None:
    """Run the command line; errors for users are printed without a traceback, with their exit code.

    Ctrl-C is Typer's: it ends with 130; what was started is ended where it was started.
    """
    try:
        app()
    except BedplateError as error:
        print_error(error)
        sys.exit(error.code)
