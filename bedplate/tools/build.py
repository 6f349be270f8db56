"""Build one program into the cache: whole or not at all, so an interrupted run is resumed."""

import hashlib
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from bedplate import paths
from bedplate.errors import BedplateError
from bedplate.locks import only_one
from bedplate.tools.golang import Go
from bedplate.tools.spec import Program

OnLine = Callable[[str], None]
RECORD = "build.json"


def folder(program: Program, go: Go) -> Path:
    """Where the build of ``program`` by ``go`` lies, or would lie."""
    return paths.cache("tools") / program.name / program.key(go.compiler)


def stale(program: Program, go: Go, on_line: OnLine) -> int:
    """How many Go packages must be compiled; fetches the modules that are not here yet."""
    arguments = ["list", "-deps", "-f", "{{if .Stale}}x{{end}}", *_flags(program), program.package]
    return sum(1 for line in _run(program, go, arguments, on_line) if line == "x")


def build(program: Program, go: Go, on_line: OnLine) -> Path:
    """Build unless it is there; ``on_line`` gets Go's progress (a package path per compiled package).

    Returns the program's path. Raises BedplateError with the compiler's last words.
    """
    target = folder(program, go)
    with only_one(target.parent / ".lock"):
        if not (target / RECORD).exists():
            begin = time.monotonic()
            partial = target.with_name(f"{target.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            output = partial / program.name
            arguments = ["build", "-v", *_flags(program), "-o", str(output), program.package]
            _run(program, go, arguments, on_line)
            for module, path in program.beside:
                _copy(program, go, module, path, partial)
            record = {
                "program": program.name,
                "version": program.version,
                "compiler": go.compiler,
                "seconds": round(time.monotonic() - begin, 1),
                "sha256": hashlib.sha256(output.read_bytes()).hexdigest(),
            }
            (partial / RECORD).write_text(json.dumps(record, indent=2) + "\n")
            shutil.rmtree(target, ignore_errors=True)
            partial.rename(target)
    return target / program.name


def _flags(program: Program) -> list[str]:
    return ["-mod=readonly", *program.flags]


def _copy(program: Program, go: Go, module: str, path: str, into: Path) -> None:
    """Take one file out of a Go module that the program is built with, executable."""
    (source,) = _run(program, go, ["list", "-m", "-f", "{{.Dir}}", module], lambda _: None)
    copied = into / Path(path).name
    shutil.copyfile(Path(source) / path, copied)
    copied.chmod(0o755)


def _run(program: Program, go: Go, arguments: list[str], on_line: OnLine) -> list[str]:
    """Run Go in the program's module; ``on_line`` gets every line as it comes, all are returned."""
    lines: list[str] = []
    with subprocess.Popen(
        [str(go.path), *arguments],
        cwd=program.folder,
        env=go.environment() | dict(program.environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout
        try:
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                on_line(lines[-1])
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        raise BedplateError(
            f"{program.name} could not be built (go {arguments[0]} ended with {process.returncode}):\n  "
            + "\n  ".join(lines[-20:]),
            remedy="what was built stays; correct the cause (network, proxy, disk space) and run it again",
        )
    return lines
