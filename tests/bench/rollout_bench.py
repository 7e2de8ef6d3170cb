"""A rollout over light tenants, against stopping and starting as many containers with Compose by hand at the same parallelism.

Both go from one image to another and back, in turns, on the same engine. Compose's tenants are the twins of MTP's, in a folder
that is kept by hand.
"""

import concurrent.futures
import pathlib
import statistics
import subprocess
import time

from bare_project import OURS, BareProject, twin_of
from fleet_host import note
from table import ratio_row, seconds

UPDATE_IMAGES = pathlib.Path(__file__).parent.parent / "doubles" / "openclaw" / "update_images.sh"
GOOD = "good"


def load_good_image(docker_host):
    """Onto the engine; returns its reference."""
    listed = subprocess.run([str(UPDATE_IMAGES)], check=True, capture_output=True, text=True).stdout
    reference, archive = next(line.split()[1:] for line in listed.splitlines() if line.split()[0] == GOOD)
    subprocess.run(["docker", "--host", docker_host, "load", "--quiet", "--input", archive], check=True, capture_output=True)
    return reference


class Rollouts:
    def __init__(self, fleet, bare, options):
        self._fleet = fleet
        self._bare = bare
        self._parallel = options.parallel
        self.tenants = [f"{OURS}roll-{number:02d}" for number in range(options.rollout_tenants)]
        self.images = [fleet.image, load_good_image(fleet.host["docker_host"])]

    def prepare(self):
        for tenant in self.tenants:
            self._fleet.provision(tenant)
        # Their repositories are made and have a backup, as those of tenants that have been there for a day.
        self._fleet.run("backup", *self.tenants)
        self._bare.copy(*self.tenants)
        for tenant in self.tenants:
            self._bare.up_one(tenant)

    def update(self, image):
        """All tenants, `parallel` at a time from the first wave on, with nothing to wait for but that they are ready."""
        begun = time.monotonic()
        self._fleet.run("update", *self.tenants, "--image", image, "--no-pull", "--no-rehearsal", "--soak", "0s", "--yes",
                        "--canary", str(self._parallel), "--max-unavailable", str(self._parallel))
        return time.monotonic() - begun

    def by_hand(self, image):
        self._bare.set_image(image)
        begun = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(self._parallel) as pool:
            list(pool.map(self._bare.stop_and_start, self.tenants))
        return time.monotonic() - begun

    def check(self, image):
        for container in [f"mtp-{name}" for tenant in self.tenants for name in (tenant, twin_of(tenant))]:
            if self._fleet.image_of(container) != image:
                raise RuntimeError(f"{container} does not run {image}")


def rollout_rows(fleet, work, options):
    bare = BareProject(fleet.host["project_dir"], pathlib.Path(work) / "rollout-by-hand", fleet.host["docker_host"])
    rollouts = Rollouts(fleet, bare, options)
    fleet.allow_starts(options.parallel)
    rollouts.prepare()
    ours, theirs = [], []
    for sample in range(options.rollout_samples):
        image = rollouts.images[(sample + 1) % 2]
        theirs.append(rollouts.by_hand(image))
        ours.append(rollouts.update(image))
        rollouts.check(fleet.image_id(image))
        note(f"rollout, {sample + 1}: {ours[-1]:.1f} s, by hand {theirs[-1]:.1f} s")
    ratio = statistics.median(ours) / statistics.median(theirs)
    return [
        ratio_row(f"rollout over {len(rollouts.tenants)} tenants, {options.parallel} at a time", seconds(ours),
                  "stop and up " + seconds(theirs), ratio, 1.1),
    ]
