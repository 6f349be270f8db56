"""The platform of one environment: `pulumi up` with the stack that has the environment's name."""

import sys

import pulumi

from ai_platform.program import main
from bedplate.errors import BedplateError

try:
    main()
except BedplateError as error:
    for finding in getattr(error, "findings", [error]):
        pulumi.log.error(str(finding))
    sys.exit(error.code)
