"""``python -m bedplate.containers up|down NAME``: what Molecule's shared create and destroy call."""

import sys

from bedplate.console import print_error
from bedplate.containers import machine
from bedplate.errors import BAD_INPUT, BedplateError

ACTIONS = {"up": machine.up, "down": machine.down}

if __name__ == "__main__":
    match sys.argv[1:]:
        case [("up" | "down") as action, name]:
            pass
        case _:
            sys.stderr.write("usage: python -m bedplate.containers up|down NAME\n")
            sys.exit(BAD_INPUT)
    try:
        ACTIONS[action](name)
    except BedplateError as error:
        print_error(error)
        sys.exit(error.code)
