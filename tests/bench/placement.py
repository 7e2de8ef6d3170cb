"""Placement: runs placement_bench, which takes the same decisions also the naive way, and reads what it prints."""

import re
import subprocess

from table import limit_row

GOAL_US = 1000
NAIVE = re.compile(r"^naive: .*? p50 +(\d+) us", re.M)
PLACE = re.compile(r"^(Place, .*?) +p50 +(\d+) us +p99 +(\d+) us", re.M)


def placement_rows(program):
    done = subprocess.run([program], capture_output=True, text=True)
    naive, places = NAIVE.search(done.stdout), PLACE.findall(done.stdout)
    # 1 is also its word for a missed goal, which the table shows.
    if done.returncode not in (0, 1) or not naive or not places:
        raise RuntimeError(f"{program}: {done.stdout.strip()[-300:] or 'no output'}")
    rows = []
    for what, p50_us, p99_us in places:
        row = limit_row(f"{what}; 1,000 hosts, 20,000 tenants", int(p99_us), "us", GOAL_US, f"p50 {p50_us} us, p99 {p99_us} us")
        row.baseline, row.ratio = f"naive p50 {int(naive[1]) / 1000:.1f} ms", int(p50_us) / int(naive[1])
        rows.append(row)
    return rows
