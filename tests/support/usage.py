"""Processor time and memory of a process, in the kernel's words."""

import dataclasses
import os
import pathlib
import re
import time


@dataclasses.dataclass
class Usage:
    at: float  # of a clock that is never set
    cpu_s: float
    rss: int  # bytes


def usage_of(pid):
    process = pathlib.Path(f"/proc/{pid}")
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    resident = re.search(r"(?m)^VmRSS:\s*(\d+) kB", (process / "status").read_text())
    return Usage(
        at=time.monotonic(),
        cpu_s=(int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
        rss=int(resident[1]) * 1024,
    )


def percent_of_core(before, after):
    return (after.cpu_s - before.cpu_s) / (after.at - before.at) * 100
