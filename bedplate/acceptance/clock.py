"""How long a person has been waiting."""

import os
import time
from pathlib import Path

_STARTED = 22  # field of /proc/PID/stat: clock ticks after boot when the process was started; proc(5)


def seconds_of_this_process() -> float:
    """Seconds since this process was started, imports and all."""
    fields = Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()
    started = int(fields[_STARTED - 3]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started
