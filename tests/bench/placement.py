"""Placement: runs placement_bench, which takes the same decisions also the naive way, and reads what it prints."""

import re
import subprocess

from table import limit_row

GOAL_US = 1000
LINE = re.compile(r"^(Place, .*?) +p50 +(\d+) us +p99 +(\d+) us .* naive/p50 +(\d+)")


def placement_rows(program):
    output = subprocess.run([program], capture_output=True, text=True).stdout
    rows = []
    for line in output.splitlines():
        if found := LINE.match(line):
            what, p50_us, p99_us, faster = found[1], int(found[2]), int(found[3]), int(found[4])
            row = limit_row(f"{what}; 1,000 hosts, 20,000 tenants", p99_us, "us", GOAL_US, f"p50 {p50_us} us, p99 {p99_us} us")
            row.baseline, row.ratio = f"naive p50 {p50_us * faster / 1000:.1f} ms", 1 / max(faster, 1)
            rows.append(row)
    if not rows:
        raise RuntimeError(f"{program}: {output.strip()[-300:] or 'no output'}")
    return rows
