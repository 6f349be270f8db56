"""Rules of versions: what fits with what, by the rows of ``inventories/_common/compatibility.yml``."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from bedplate.check import versions
from bedplate.check.problem import Key, Problem
from bedplate.check.rules import View, fleet_rule, host_rule

Data = Mapping[str, Any]
Row = Mapping[str, Any]

# Tables whose rows are lines of development with an end of life.
_BRANCHES = {
    "version_nvidia_driver": ("compatibility_driver_branches", "driver branch"),
    "version_containerd": ("compatibility_containerd", "containerd line"),
}
_TABLES = (
    "compatibility_cuda",
    "compatibility_cudnn",
    "compatibility_nccl",
    "compatibility_fabric_manager",
    "compatibility_container_toolkit",
    "compatibility_kubernetes",
)
_MODULES = ("open", "proprietary")
# Versions that matter only where GPUs, or only where Kubernetes, are.
_GPU_ONLY = ("nvidia", "cuda", "cudnn", "nccl")
today: Callable[[], date] = lambda: datetime.now(UTC).date()  # noqa: E731  replaced in tests


@fleet_rule
def version_rows(view: View) -> Iterator[Problem]:
    """Each host's versions against every row; hosts that share their versions are judged once."""
    names = {name for values in view.hosts.values() for name in values if name.startswith("version_")}
    needed = (*sorted(names), *_TABLES, "compatibility_covered", *(table for table, _ in _BRANCHES.values()))
    judged: dict[tuple[int, ...], list[Problem]] = {}
    for host, values in view.hosts.items():
        sound = {name: value for name in needed if (value := _sound(view, host, name)) is not None}
        gpus = "hardware_gpus" in values
        key = (*(id(sound.get(name)) for name in needed), gpus)
        if key not in judged:
            judged[key] = list(judge(sound, gpus))
        for problem in judged[key]:
            yield replace(problem, host=host)


def _sound(view: View, host: str, name: str) -> Any:
    return None if (host, name) in view.broken else view.hosts[host].get(name)


def judge(values: Data, gpus: bool) -> Iterator[Problem]:
    """All problems of one set of versions; rows about GPU software are for hosts with GPUs."""
    unknown = set()
    for problem in _uncovered(values, gpus):
        unknown.add(problem.key[0])
        yield problem
    for table in _TABLES:
        for row in values.get(table, ()):
            if gpus or not any(word in name for name in row["need"] for word in _GPU_ONLY):
                yield from _row(table, row, values, unknown)
    yield from _ended(values, unknown, gpus)


def _row(table: str, row: Row, values: Data, unknown: set[Any]) -> Iterator[Problem]:
    """One row, for every item of the lists that it is about (several CUDA toolkits side by side)."""
    involved = {*row["when"], *row["need"]}
    for chosen in _choices(values, involved):
        if not all(
            name in chosen and versions.matches(chosen[name], row["when"][name]) for name in row["when"]
        ):
            continue
        for name, bound in row["need"].items():
            limit = values.get(bound, bound)
            if name in chosen and name not in unknown and not versions.matches(chosen[name], str(limit)):
                misfit = _misfit(table, name, chosen, str(limit), row)
                yield replace(misfit, remedy=misfit.remedy + _fitting(values[table], row, chosen))
        for name, bound in row.get("own", {}).items():
            fits = versions.matches(chosen[name], row["need"][name])
            if name in chosen and fits and not versions.matches(chosen[name], bound):
                yield _reduced(name, chosen[name], bound, _said(chosen, row, bound))


def _choices(values: Data, involved: set[str]) -> list[dict[str, str]]:
    """The versions that a row is about, one dictionary per item of a list.

    A library with a version for every CUDA major version goes with the toolkits of that one.
    """
    given = {name: values[name] for name in involved if name in values}
    single = {name: str(value) for name, value in given.items() if not isinstance(value, list | dict)}
    by_major = {name: value for name, value in given.items() if isinstance(value, dict)}
    listed = sorted(name for name, value in given.items() if isinstance(value, list))
    choices = [{**single, listed[0]: str(item)} for item in given[listed[0]]] if listed else [single]
    for choice in choices:
        major = choice.get("version_cuda", "").partition(".")[0]
        choice.update({name: str(value[major]) for name, value in by_major.items() if major in value})
    return choices


def _said(chosen: Mapping[str, str], row: Row, bound: str, limit: str = "") -> str:
    """The versions that make a row apply, in words."""
    named = [f"{_words(name)} {chosen[name]}" for name in row["when"] if name in chosen]
    return " and ".join(named) or f"{_words(bound)} {limit}".strip()


def _fitting(rows: Sequence[Row], row: Row, chosen: Mapping[str, str]) -> str:
    """The nearest other row about the same version that the other versions meet, in words; or nothing."""
    (subject, *more) = row["when"] or ("",)
    if not subject or more:
        return ""
    others = [
        other["when"][subject]
        for other in rows
        if other is not row
        and list(other["when"]) == [subject]
        and all(
            versions.matches(chosen[name], bound) for name, bound in other["need"].items() if name in chosen
        )
    ]
    return f": the nearest that fits is {versions.nearest(chosen[subject], others)}" if others else ""


def _misfit(table: str, name: str, chosen: Mapping[str, str], limit: str, row: Row) -> Problem:
    others = [other for other in row["when"] if other != name]
    wanted = limit.replace("|", " or ").replace(",", " and ")
    remedy = f"set {name} to {wanted}" + (f", or choose another {' or '.join(others)}" if others else "")
    said = _said(chosen, row, row["need"][name], limit)
    why = f"{_words(name)} {chosen[name]} does not fit {said}"
    why += f": {row['why']}" if "why" in row else f", which wants {wanted}"
    return Problem((name,), f"{why} ({table})", remedy, chosen[name])


def _reduced(name: str, version: str, bound: str, said: str) -> Problem:
    own = f"{_words(name)} {bound.removeprefix('>=')}"
    why = f"{said} came with {own}; on {version} programs that compile kernels when they start can fail"
    remedy = f"set {name} to {bound}, or leave the newer toolkit out of version_cuda"
    return Problem((name,), why, remedy, version, level="warning")


def _uncovered(values: Data, gpus: bool) -> Iterator[Problem]:
    """Versions of which the tables know nothing."""
    for name, table in values.get("compatibility_covered", {}).items():
        if (
            name not in values
            or table not in values
            or (not gpus and any(word in name for word in _GPU_ONLY))
        ):
            continue
        rows = values[table]
        known = [row["branch"] if "branch" in row else row["when"].get(name) for row in rows]
        bounds = [bound for bound in known if bound]
        for key, version in _each(name, values[name]):
            if not any(versions.matches(str(version), bound) for bound in bounds):
                why = f"nothing is known of {_words(name)} {version} ({table} in inventories/_common)"
                best = versions.nearest(str(version), bounds)
                remedy = f"choose one that the table knows, for example {best}, or add a row with its source"
                yield Problem(key, why, remedy, version)


def _each(name: str, value: Any) -> Iterator[tuple[Key, Any]]:
    """Every version of a variable that holds one, several, or one by CUDA major version."""
    if isinstance(value, dict):
        yield from (((name, part), version) for part, version in value.items())
    elif isinstance(value, list):
        yield from (((name, index), version) for index, version in enumerate(value))
    else:
        yield (name,), value


def _day(row: Row) -> date:
    """End of life of a branch; YAML that Ansible has read holds it as a date, ansible-inventory as text."""
    return date.fromisoformat(str(row.get("end_of_life", date.max)))


def _ended(values: Data, unknown: set[Any], gpus: bool) -> Iterator[Problem]:
    """Lines of development that get no more fixes: a warning."""
    for name, (table, what) in _BRANCHES.items():
        if name not in values or name in unknown or (not gpus and any(word in name for word in _GPU_ONLY)):
            continue
        rows: Sequence[Row] = values.get(table, ())
        row = next((row for row in rows if versions.matches(str(values[name]), row["branch"])), None)
        if row and "end_of_life" in row and _day(row) < today():
            living = [r["branch"] for r in rows if _day(r) >= today()]
            why = f"{what} {row['branch']} gets no fixes since {row['end_of_life']}"
            yield Problem((name,), why, f"plan the move to {' or '.join(living)}", level="warning")


@fleet_rule
def gpu_versions(view: View) -> Iterator[Problem]:
    """Driver, CUDA and kernel module against the GPU model of each host."""
    judged: dict[tuple[Any, ...], list[Problem]] = {}
    for host, gpus in view.each("hardware_gpus"):
        catalogue = _sound(view, host, "catalogue_gpus") or {}
        row = catalogue.get(gpus["model"])
        driver, cuda = _sound(view, host, "version_nvidia_driver"), _sound(view, host, "version_cuda")
        module = view.hosts[host].get("nvidia_driver_kernel_module", "auto")
        if row is None:
            continue
        branches = _sound(view, host, "compatibility_driver_branches") or ()
        key = (gpus["model"], str(driver), str(cuda), module)
        if key not in judged:
            found = _gpu(gpus["model"], row, driver, cuda or (), module)
            judged[key] = [_with_nearest_driver(problem, row, branches) for problem in found]
        for problem in judged[key]:
            yield replace(problem, host=host)


def _gpu(model: str, row: Row, driver: Any, cuda: Sequence[str], module: str) -> Iterator[Problem]:
    if driver and not versions.matches(str(driver), row["driver"]):
        why = f"driver {driver} does not know {model}, which wants {row['driver']}"
        remedy = f"set it to {row['driver'].replace(',', ' and ')}"
        yield Problem(("version_nvidia_driver",), why, remedy, driver)
    for index, version in enumerate(cuda):
        if not versions.matches(str(version), row["cuda"]):
            why = f"CUDA {version} has no code for {model}, which wants {row['cuda']}"
            remedy = "take it out of version_cuda for these hosts"
            yield Problem(("version_cuda", index), why, remedy, version)
    if module in _MODULES and module not in row["kernel_modules"]:
        why = f"{model} is driven by the {' or '.join(row['kernel_modules'])} kernel module only"
        remedy = f"write {row['kernel_modules'][0]}, or auto"
        yield Problem(("nvidia_driver_kernel_module",), why, remedy, module)


def _with_nearest_driver(problem: Problem, row: Row, branches: Sequence[Row]) -> Problem:
    """Name the newest driver of the nearest branch that knows the GPU."""
    if problem.key != ("version_nvidia_driver",):
        return problem
    latest = [str(branch["latest"]) for branch in branches if "latest" in branch]
    fitting = [version for version in latest if versions.matches(version, row["driver"])]
    nearest = f", nearest {versions.nearest(str(problem.value), fitting)}" if fitting else ""
    return replace(problem, remedy=problem.remedy + nearest)


@host_rule
def cuda_majors(version_cuda: Sequence[str], version_cudnn: Any, version_nccl: Any) -> Iterator[Problem]:
    """A library for a CUDA major version of which there is no toolkit would never be installed."""
    majors = {version.partition(".")[0] for version in version_cuda}
    for name, value in {"version_cudnn": version_cudnn, "version_nccl": version_nccl}.items():
        for major in value if isinstance(value, dict) else ():
            if major not in majors:
                why = f"version_cuda has no toolkit of CUDA {major}"
                yield Problem((name, major), why, f"add one to version_cuda, or take {major} out of {name}")


@host_rule
def cuda_default(version_cuda: Sequence[str], cuda_default: str) -> Iterator[Problem]:
    """/usr/local/cuda can only be a toolkit that is installed."""
    if cuda_default and cuda_default not in version_cuda:
        why = "version_cuda does not have this toolkit"
        yield Problem(("cuda_default",), why, f"write one of {', '.join(version_cuda)}")


def _words(name: str) -> str:
    """``version_nvidia_driver`` as people call it."""
    text = name.removeprefix("version_").removeprefix("nvidia_").replace("_", " ")
    special = {"cuda": "CUDA", "cudnn": "cuDNN", "nccl": "NCCL", "kubernetes": "Kubernetes"}
    return special.get(text, text)
