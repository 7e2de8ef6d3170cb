"""Measures a controller of its own with 20 hosts of simulated engines and 1,000 tenants, as tests/load has them.

The limits are the promise; there is nothing to compare with.
"""

import pathlib
import statistics
import sys
import time

from fleet_host import note
from table import limit_row

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "load"))
from fleet import LoadFleet, wait_for  # noqa: E402
from process import Watched  # noqa: E402
from usage import percent_of_core  # noqa: E402

HOSTS = 20
WORK_MS = 200  # what an action of a simulated engine takes
AT_ONCE = 64
MB = 1_000_000
# By then the work that follows a thousand starts has come to rest.
SETTLE_S = 10


def timed_status(fleet):
    begun = time.monotonic()
    fleet.cli("status", "-o", "json")
    return time.monotonic() - begun


def wait_until_all_are_ready(fleet, tenants, within_s):
    if not wait_for(within_s, lambda: fleet.ready_tenants() == tenants, pause=0):
        raise RuntimeError(f"{tenants} tenants were not ready within {within_s} s")


def idle(watched, during_s):
    """Percent of a core, and the most of MB."""
    before = watched.look()
    time.sleep(during_s)
    after = watched.look()
    return percent_of_core(before, after), max(before.rss, after.rss) / MB


def accepted(fleet):
    """Seconds until the last of them had been accepted."""
    well, seen = fleet.caller("--parallel", AT_ONCE, "at-once")
    if not well:
        raise RuntimeError(f"not all of {AT_ONCE} operations at once succeeded: {seen}")
    return seen["call at once"]["max_ms"] / 1000


def restarted(fleet, tenants):
    fleet.stop_controller()
    begun = time.monotonic()
    fleet.start_controller()
    wait_until_all_are_ready(fleet, tenants, 60)
    return time.monotonic() - begun


def load_rows(work, options):
    tenants = options.load_tenants
    folder = pathlib.Path(work) / "load"
    folder.mkdir()
    fleet = LoadFleet(folder, HOSTS, WORK_MS)
    try:
        fleet.up()
        fleet.caller("--tenants", tenants, "provision")
        wait_until_all_are_ready(fleet, tenants, 120)
        note(f"{tenants} tenants on {HOSTS} hosts; idle for {SETTLE_S + options.idle_seconds} s")
        watched = Watched(fleet.controller.pid, fleet.store)
        time.sleep(SETTLE_S)
        percent, resident = idle(watched, options.idle_seconds)
        watched.end()
        statuses = [timed_status(fleet) for _ in range(max(5, options.samples))]
        at_once = [accepted(fleet) for _ in range(3)]
        returns = [restarted(fleet, tenants) for _ in range(3)]
    finally:
        fleet.down()
    what = f"{HOSTS} hosts, {tenants} tenants: "
    return [
        limit_row(f"{what}mtp-cli status", statistics.median(statuses) * 1000, "ms", 100),
        limit_row(f"{what}{AT_ONCE} operations at once, until the last is accepted", statistics.median(at_once), "s", 1),
        limit_row(f"{what}controller started again, until status is true", statistics.median(returns), "s", 2),
        limit_row(f"{what}controller, idle", percent, "% of a core", 2),
        limit_row(f"{what}controller", resident, "MB resident", 100),
    ]
