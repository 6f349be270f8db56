"""Runs inside vLLM's own environment: its real parser on command lines of `vllm serve`, read as a JSON list
of argument lists from standard input. Prints {"version", "fields", "answers"}: the names that the engine's
arguments have, and for each command line its values or the parser's complaint."""

import contextlib
import io
import json
import sys

from vllm import platforms
from vllm.platforms.cpu import CpuPlatform

platforms.current_platform = CpuPlatform()  # nothing is computed; defaults that ask for a device need one

import vllm  # noqa: E402 - after the platform is chosen
from vllm.engine.arg_utils import AsyncEngineArgs  # noqa: E402
from vllm.entrypoints.openai.cli_args import make_arg_parser  # noqa: E402
from vllm.utils.argparse_utils import FlexibleArgumentParser  # noqa: E402


def judge(line: list[str]) -> dict[str, object]:
    """What the parser makes of one command line."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parsed = make_arg_parser(FlexibleArgumentParser(prog="vllm serve")).parse_args(line)
    except SystemExit:
        return {"complaint": said.getvalue().strip().splitlines()[-1]}
    plain = (str, int, float, bool, list)
    return {"values": {k: v for k, v in vars(parsed).items() if isinstance(v, plain)}}


lines = json.load(sys.stdin)
with contextlib.redirect_stdout(sys.stderr):  # the parser talks
    answers = [judge(line) for line in lines]
fields = sorted(AsyncEngineArgs.__dataclass_fields__)
print(json.dumps({"version": vllm.__version__, "fields": fields, "answers": answers}))
