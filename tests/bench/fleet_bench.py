"""Measures a running quick-start fleet on its first host.

Compared is the time from a command's start to the start of the container in the engine's own words (State.StartedAt):
`mtp-cli provision`, through controller and agent, against `docker compose up -d --no-deps` in a like folder on the same
engine, in turns.
"""

import pathlib
import statistics
import sys
import time

from bare_project import OURS, BareProject, twin_of
from fleet_host import note
from table import Row, limit_row, ratio_row, seconds

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from usage import percent_of_core, usage_of  # noqa: E402

SETTLE_S = 1.0
# By then the work that follows a start has come to rest, and what happens every 15 s has happened.
IDLE_SETTLE_S = 20
READY_TIMEOUT_S = 600
MB = 1_000_000
# Name in the table, record in the fleet's folder `processes`, limits of percent of a core and of MB.
WATCHED = (("agent", "agent-{host}", (1.0, 40.0)), ("controller", "controller", None),
           ("Docker Engine", "engine-{host}", None), ("Telegram stand-in", "telegram", None))


class Starts:
    """Starts of tenants and of their twins in the hand-kept folder, which has as many tenants."""

    def __init__(self, fleet, bare, samples):
        self._fleet = fleet
        self._bare = bare
        self._samples = samples
        self._tenants = []

    def grow(self, count):
        """Until there are as many tenants."""
        wanted = [f"{OURS}{number:03d}" for number in range(1, count + 1)]
        new = wanted[len(self._tenants):]
        begun = time.monotonic()
        for tenant in new:
            self._fleet.provision(tenant, wait=False)
        while not self._fleet.ready().issuperset(wanted):
            if time.monotonic() - begun > READY_TIMEOUT_S:
                raise RuntimeError(f"{count} tenants were not ready within {READY_TIMEOUT_S} s")
            time.sleep(0.5)
        self._tenants = wanted
        note(f"{count} tenants: {len(new)} more were ready in {time.monotonic() - begun:.0f} s")

    def measure(self, number):
        """The start of the `number`th tenant in turns with that of its twin; each is taken away again."""
        self.grow(number - 1)
        times = {"running": [], "ready": [], "bare running": [], "bare returned": []}
        for sample in range(self._samples):
            tenant = f"{OURS}{number:03d}-{sample}"
            time.sleep(SETTLE_S)
            called, ended = self._fleet.provision(tenant)
            times["running"].append(self._fleet.started_at(f"mtp-{tenant}") - called)
            times["ready"].append(ended - called)
            # While the agent's files name the tenant, so that both folders are of the same size.
            self._bare.copy(tenant)
            self._fleet.remove(tenant)
            time.sleep(SETTLE_S)
            called, ended = self._bare.up_one(tenant)
            times["bare running"].append(self._fleet.started_at(f"mtp-{twin_of(tenant)}") - called)
            times["bare returned"].append(ended - called)
            self._bare.remove_one(tenant)
            note(f"tenant {number}, {sample + 1}: " + ", ".join(f"{what} {taken[-1]:.2f} s" for what, taken in times.items()))
        return times


def idle_rows(fleet, tenants, during_s):
    note(f"idle with {tenants} tenants for {IDLE_SETTLE_S + during_s} s")
    records = fleet.folder / "processes"
    pids = {name: (records / f"{record.format(host=fleet.host['name'])}.pid").read_text().split()[0]
            for name, record, _ in WATCHED}
    time.sleep(IDLE_SETTLE_S)
    before = {name: usage_of(pid) for name, pid in pids.items()}
    time.sleep(during_s)
    rows = []
    for name, _, limits in WATCHED:
        after = usage_of(pids[name])
        percent = percent_of_core(before[name], after)
        resident_mb = max(after.rss, before[name].rss) / MB
        what = f"{name}, idle with {tenants} tenants"
        if limits is None:
            rows.append(Row(what, f"{percent:.2f} % of a core, {resident_mb:.1f} MB resident"))
        else:
            rows += [limit_row(what, percent, "% of a core", limits[0]), limit_row(what, resident_mb, "MB resident", limits[1])]
    return rows


def restart_row(fleet, tenants):
    """An agent that is killed and started again, until `status` is true of all its tenants once more."""
    times = []
    for _ in range(3):
        fleet.quickstart("--kill", f"agent:{fleet.host['name']}")
        while fleet.is_ready(tenants):
            time.sleep(0.1)
        begun = time.monotonic()
        fleet.quickstart("--start", f"agent:{fleet.host['name']}")
        while not fleet.is_ready(tenants):
            if time.monotonic() - begun > READY_TIMEOUT_S:
                raise RuntimeError(f"status was not true within {READY_TIMEOUT_S} s of the agent's start")
            time.sleep(0.02)
        times.append(time.monotonic() - begun)
    return limit_row(f"agent with {tenants} tenants started again, until status is true", statistics.median(times), "s", 2,
                     seconds(times))


def start_rows(number, times, most):
    ours, bare = seconds(times["running"]), "compose up " + seconds(times["bare running"])
    ratio = statistics.median(times["running"]) / statistics.median(times["bare running"])
    what = f"tenant {number}, until it runs"
    return [Row(what, ours, bare, ratio) if most is None else ratio_row(what, ours, bare, ratio, most),
            Row(f"tenant {number}, until it is ready", seconds(times["ready"]), "up returned " + seconds(times["bare returned"]))]


def growth_row(one, large, number):
    ours = statistics.median(large["running"]) / statistics.median(one["running"])
    bare = statistics.median(large["bare running"]) / statistics.median(one["bare running"])
    return ratio_row(f"until it runs, tenant {number} against tenant 1", "", f"compose up {bare:.2f}", ours, 1.2)


def fleet_rows(fleet, work, options):
    bare = BareProject(fleet.host["project_dir"], pathlib.Path(work) / "by-hand", fleet.host["docker_host"])
    starts = Starts(fleet, bare, options.samples)
    # A host's first tenant pays for the check of its configuration by the image's own OpenClaw.
    called, _ = fleet.provision("first")
    first = [fleet.started_at("mtp-first") - called]
    fleet.remove("first")
    one = starts.measure(1)
    small = starts.measure(options.small)
    starts.grow(options.idle_tenants)
    idle = idle_rows(fleet, options.idle_tenants, options.idle_seconds)
    large = starts.measure(options.large)
    starts.grow(options.large)
    restart = restart_row(fleet, options.large)
    return [
        *start_rows(1, one, None),
        *start_rows(options.small, small, 1.0),
        *start_rows(options.large, large, 0.6),
        growth_row(one, large, options.large),
        Row("a host's very first tenant, until it runs", seconds(first)),
        *idle,
        restart,
    ]
