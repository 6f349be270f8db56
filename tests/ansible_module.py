"""A module of ours as its host runs it, in this process: arguments in, answer out, in milliseconds."""

import io
import json
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

import ansible.module_utils
from ansible.module_utils.testing import patch_module_args

from bedplate import paths

OURS = str(paths.ROOT / "plugins" / "module_utils")


@dataclass(frozen=True)
class Module:
    """Call it with the module's arguments; ``check`` is check mode."""

    name: str

    def __call__(self, arguments: dict[str, Any], *, check: bool = False) -> dict[str, Any]:
        """What the module answered; ``failed`` is always among it."""
        if OURS not in ansible.module_utils.__path__:
            ansible.module_utils.__path__.append(OURS)
        spec = spec_from_file_location(
            f"ansible_module_{self.name}", paths.ROOT / "plugins/modules" / f"{self.name}.py"
        )
        assert spec and spec.loader
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        said = io.StringIO()
        given = patch_module_args({**arguments, "_ansible_check_mode": check})
        with given, redirect_stdout(said), suppress(SystemExit):
            module.main()
        return {"failed": False, **json.loads(said.getvalue())}
