"""A host of a running quick-start fleet, as the benchmarks use it."""

import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import time

# Reservation and limit. The double needs 3 MiB; 130 of them fit on a host of 4 GB.
LIGHT_MIB, REAL_MIB = (16, 64), (1200, 2048)


def note(text):
    print(text, file=sys.stderr, flush=True)


class FleetHost:
    def __init__(self, cli, info, number, real=False):
        self._cli = cli
        self._info = info
        self._memory_mib, self._limit_mib = map(str, REAL_MIB if real else LIGHT_MIB)
        self.image = info["openclaw_image"]
        self.host = info["hosts"][number]
        self.folder = pathlib.Path(info["fleet_dir"])
        self._secrets = self.folder / f"bench-secrets-{self.host['name']}"
        self._secrets.mkdir(mode=0o700)
        self._bots = number * 1_000_000

    def run(self, *words):
        """What `mtp-cli` prints."""
        done = subprocess.run([self._cli, *words], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"mtp-cli {' '.join(words[:2])}: {done.stderr.strip()[-500:]}")
        return done.stdout

    def _secret_file(self, name, text):
        path = self._secrets / name
        path.touch(mode=0o600)
        path.write_text(text + "\n")
        return str(path)

    def provision(self, tenant, wait=True):
        """Returns when it was called and when it ended, in seconds since the epoch."""
        self._bots += 1
        token = self._secret_file(f"{tenant}.telegram", f"1{self._bots:08d}:{os.urandom(16).hex()}")
        key = self._secret_file(f"{tenant}.anthropic", "sk-ant-" + os.urandom(16).hex())
        called = time.time()
        self.run("provision", tenant, "--host", self.host["name"],
                  "--memory", self._memory_mib, "--memory-limit", self._limit_mib,
                  "--telegram-token-file", token, "--telegram-api", self._info["telegram_api"],
                  "--anthropic-key-file", key, "--anthropic-api", self._info["anthropic_api"],
                  "--wait" if wait else "--no-wait")
        return called, time.time()

    def remove(self, tenant):
        self.run("remove", tenant, "--yes")

    def quickstart(self, *words):
        """Stops, kills or starts a process of the fleet."""
        script = pathlib.Path(__file__).resolve().parent.parent.parent / "deploy/quickstart.sh"
        subprocess.run([script, "--fleet-dir", self.folder, *words], check=True, capture_output=True, text=True)

    def allow_starts(self, count):
        """Has the agent start so many tenants at a time, as one by hand does; without it that is half as many as processors."""
        settings = self.folder / f"hosts/{self.host['name']}/agent/agent.yaml"
        changed, times = re.subn(r"(?m)^max_starts: .*", f"max_starts: {count}", settings.read_text())
        if times != 1:
            raise RuntimeError(f"{settings} has no max_starts")
        settings.write_text(changed)
        self.quickstart("--stop", f"agent:{self.host['name']}")
        self.quickstart("--start", f"agent:{self.host['name']}")
        while not self.is_ready(len(self.ready())):
            time.sleep(0.1)

    def is_ready(self, tenants):
        """Whether the host is, and so many tenants on it are."""
        status = json.loads(self.run("status", "-o", "json"))
        ready = sum(one["health"] == "ready" for one in status["tenants"] if one["host"] == self.host["name"])
        return ready == tenants and any(
            host["name"] == self.host["name"] and host["state"] == "ready" for host in status["hosts"])

    def data_folder(self, tenant):
        return pathlib.Path(self.host["project_dir"]) / "data" / tenant

    def ready(self):
        tenants = json.loads(self.run("status", "-o", "json"))["tenants"]
        return {tenant["name"] for tenant in tenants if tenant["health"] == "ready"}

    def started_at(self, container):
        status, at = self._inspect("container", "{{.State.Status}} {{.State.StartedAt}}", container).split()
        if status != "running":
            raise RuntimeError(f"{container} is {status}")
        # Nanoseconds are more than datetime takes.
        return datetime.datetime.fromisoformat(re.sub(r"(\.\d{1,6})\d*Z", r"\1+00:00", at)).timestamp()

    def _inspect(self, what, form, name):
        words = ["docker", "--host", self.host["docker_host"], what, "inspect", "--format", form, name]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()

    def image_id(self, reference):
        return self._inspect("image", "{{.Id}}", reference)

    def image_of(self, container):
        """The id of the image that the running container has."""
        status, image = self._inspect("container", "{{.State.Status}} {{.Image}}", container).split()
        if status != "running":
            raise RuntimeError(f"{container} is {status}")
        return image
