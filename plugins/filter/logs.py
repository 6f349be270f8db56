"""Filters of role log_collector: what a collector on a host reads and sends, as its configuration, and a
program that this controller has built."""

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from bedplate.errors import BedplateError
from bedplate.logs import pipeline
from bedplate.tools import locate, spec

Data = Mapping[str, Any]


def collector_config(
    collector: Data, store: Data, secrets: Sequence[Mapping[str, str]], prompts: Sequence[str]
) -> str:
    """The text of a collector's configuration; ``collector`` and ``store`` are fields of Collector and Store
    (plugins/module_utils/log_pipeline.py)."""
    files = tuple(pipeline.Files(**one) for one in collector["files"])
    try:
        made = pipeline.Collector(**{**collector, "files": files})
        return pipeline.document(made, pipeline.Store(**store), pipeline.Redaction(secrets, prompts))
    except (ValueError, TypeError) as fault:
        raise AnsibleFilterError(f"nothing was changed: {fault}") from None


def built_program(name: str) -> str:
    """Where `bedplate tools build` left a program; fails when it did not."""
    try:
        (found,) = locate.find([spec.load()[name]])
    except (BedplateError, KeyError) as fault:
        raise AnsibleFilterError(f"{name}: {fault}") from None
    if found.path is None:
        raise AnsibleFilterError(f"{name} is not built here: run `bedplate tools build {found.program.set}`")
    return str(found.path)


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """The filters of this file by name."""
        return {
            "built_program": built_program,
            "collector_config": collector_config,
        }
