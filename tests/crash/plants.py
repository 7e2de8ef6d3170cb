"""Planted defects: what a crash could have left. Each is put into the fleet after a case and has to be found."""

import itertools
import subprocess

from fleet import HOST
from kinds import write_pulse
from store_edit import put_record
from world import PULSE, SUBJECT

_numbers = itertools.count(1)  # so that each case leaves something that was not there before


def container(fleet):
    """A second container of the tenant."""
    body = {"Image": fleet.images[0], "Labels": {"mtp.tenant": SUBJECT}}
    fleet.engines[HOST].call("POST", "/containers/create", body, name=f"mtp-{SUBJECT}-{next(_numbers)}")


def folder(fleet):
    """A backup that was unpacked and forgotten."""
    (fleet.project(HOST) / f"data/.restores/{SUBJECT}-{next(_numbers)}").mkdir(parents=True)


def reservation(fleet):
    """A share of a host that is never given back."""
    text = f'allocations {{ tenant: "nobody-{next(_numbers)}" memory_mib: 16 port: 19999 }}'
    path = fleet.folder / "controller/state.db"
    fleet.with_stopped_controller(lambda: put_record(path, "/allocations/h9", "mtp.state.v1.AllocationsRecord", text))


def lock(fleet):
    """A lock that is never released."""
    key = f"/locks/tenants/nobody-{next(_numbers)}"
    path = fleet.folder / "controller/state.db"
    fleet.with_stopped_controller(lambda: put_record(path, key, "mtp.state.v1.LockRecord", 'operation: "X"'))


def data(fleet):
    """Data of another moment, or of a tenant that is gone."""
    if (fleet.project(HOST) / "data" / SUBJECT / PULSE).exists():
        write_pulse(fleet, "of another moment")
    else:
        (fleet.project(HOST) / f"data/{SUBJECT}-{next(_numbers)}").mkdir()


def bystander(fleet):
    """Another tenant that is started again."""
    fleet.engines[HOST].call("POST", "/containers/mtp-bystander-1/restart", t="1")


def snapshot(fleet):
    """A backup in the catalogue whose snapshot is gone; for kinds that use the repository."""
    snapshots = fleet.folder / "backups" / SUBJECT / "snapshots"
    max(snapshots.iterdir(), key=lambda path: path.stat().st_mtime).unlink()


def twice(fleet):
    """A tenant that is started once more than was asked for; for kinds that leave it running."""
    for way in ("stop", "start"):
        fleet.engines[HOST].call("POST", f"/containers/mtp-{SUBJECT}/{way}")


def process(fleet):
    """A helper of a dead agent that works on."""
    script = f"echo $$; exec -a restic sleep 36{next(_numbers):02d}.0 >/dev/null"
    # Its parent ends at once, as the agent does.
    done = subprocess.run(
        ["setsid", "--fork", "bash", "-c", script], check=True, stdout=subprocess.PIPE, text=True,
        env={"PATH": "/usr/bin:/bin", "RESTIC_CACHE_DIR": str(fleet.folder)},
    )  # fmt: skip
    fleet.planted_processes.append(int(done.stdout))


_ALL = (container, folder, reservation, lock, data, bystander, snapshot, twice, process)
PLANTS = {plant.__name__: plant for plant in _ALL}
