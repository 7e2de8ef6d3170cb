"""A quick-start fleet with light tenants, whose controller and agent of h1 may be killed and started."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

from cases import AGENT, CONTROLLER
from engine_api import EngineApi

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from asked_fleet import REPOSITORY, AskedFleet, FleetError, wait_for  # noqa: E402

HOST = "h1"
PROCESSES = {CONTROLLER: ("controller", "controller"), AGENT: (f"agent:{HOST}", f"agent-{HOST}")}
# The double needs 3 MiB.
MEMORY = ["--memory", "16", "--memory-limit", "64"]


class Fleet(AskedFleet):
    def __init__(self, work):
        super().__init__(work)
        self.folder = work / "fleet"
        self.images = []  # of the double, then another one that works
        self.planted_processes = []  # that the test itself has to end
        self._programs_first = None  # a folder whose programs are taken before those of the system

    # --- Its life

    def up(self):
        archive = self._output([str(REPOSITORY / "tests/doubles/openclaw/build-image.sh")]).strip()
        self._quickstart("--openclaw-image", archive, "--tenants", "0")
        self.info = json.loads(self._quickstart("--info"))
        self.hosts = {host["name"]: host for host in self.info["hosts"]}
        self.engines = {name: EngineApi(host["docker_host"].removeprefix("unix://")) for name, host in self.hosts.items()}
        # The double is ready at once, or never.
        for host in self.hosts:
            settings = self.folder / f"hosts/{host}/agent/agent.yaml"
            settings.write_text(re.sub(r"(?m)^start_patience_s: .*", "start_patience_s: 30", settings.read_text()))
            self._quickstart("--stop", f"agent:{host}")
            self._quickstart("--start", f"agent:{host}")
        self.wait_until_hosts_are_ready()
        # What comes by itself would hold tenants at moments that no case expects.
        self.cli("backup", "schedule", "--off")
        self._load_second_image()

    def _load_second_image(self):
        images = self._output([str(REPOSITORY / "tests/doubles/openclaw/update_images.sh")])
        _, reference, archive = next(line.split() for line in images.splitlines() if line.startswith("good "))
        for host in self.hosts.values():
            self._output(["docker", "--host", host["docker_host"], "load", "--quiet", "--input", archive])
        self.images = [self.info["openclaw_image"], reference]

    def down(self):
        for pid in self.planted_processes:
            os.kill(pid, signal.SIGKILL)
        self._quickstart("--down")

    def start(self, party, failpoint=None, wait=True):
        """Starts a process that does not run, and waits until the whole fleet can be worked with."""
        self._quickstart("--start", PROCESSES[party][0], failpoint=failpoint)
        if wait:
            self.wait_until_hosts_are_ready()

    def kill(self, party):
        self._quickstart("--kill", PROCESSES[party][0])

    @contextlib.contextmanager
    def held_restic(self):
        """An agent that is started meanwhile has restic wait before it restores, until the block is left or the call
        is taken back."""
        folder = self.work / "held-restic"
        folder.mkdir(exist_ok=True)
        hold = folder / "hold"
        hold.touch()
        program = folder / "restic"
        program.write_text(
            f"""#!/bin/sh
case " $* " in *' restore '*) while [ -e '{hold}' ]; do sleep 0.05; done ;; esac
exec '{shutil.which("restic")}' "$@"
"""
        )
        program.chmod(0o755)
        self._programs_first = folder
        try:
            yield
        finally:
            self._programs_first = None
            hold.unlink()

    def with_stopped_controller(self, change):
        """Carries `change` out while no controller runs."""
        self._quickstart("--stop", "controller")
        change()
        self.start(CONTROLLER)

    def is_alive(self, party):
        try:
            pid = (self.folder / f"processes/{PROCESSES[party][1]}.pid").read_text().split()[0]
            stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False
        return stat.rpartition(")")[2].split()[0] != "Z"

    def log(self, party):
        return self.folder / f"processes/{PROCESSES[party][1]}.log"

    def wait_until_hosts_are_ready(self):
        def ready():
            code, answer, _ = self.try_cli("status", "-o", "json")
            return code == 0 and all(host["state"] == "ready" for host in json.loads(answer)["hosts"])

        if not wait_for(60, ready):
            raise FleetError("not every host became ready within a minute")

    # --- What is asked of it

    def ask(self, *words):
        return json.loads(self.cli(*words, "-o", "json"))

    def begin_cli(self, *words):
        """A command that goes on by itself."""
        return subprocess.Popen(
            [*self._cli, *words], env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def operations(self, request):
        """Those that were begun with the request id, and what they begun themselves; None while nobody answers."""
        code, answer, _ = self.try_cli("op", "list", "--limit", "100", "-o", "json")
        if code != 0:
            return None
        known = json.loads(answer)["operations"]
        own = [one for one in known if one["request_id"] == request]
        callers = {"rollout/" + one["name"].removeprefix("operations/") for one in own}
        return own + [one for one in known if one["created_by"] in callers]

    def backups(self, tenant):
        """Newest first."""
        return self.ask("backup", "list", tenant)["backups"]

    def secret_file(self, name, text):
        path = self.work / name
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(text + "\n")
        return str(path)

    def provision_words(self, tenant, number, host):
        token = self.secret_file(f"{tenant}.token", f"7770{number:05d}:{os.urandom(16).hex()}")
        key = self.secret_file(f"{tenant}.key", "sk-ant-" + os.urandom(16).hex())
        return [
            "provision", tenant, "--host", host, *MEMORY, "--telegram-token-file", token, "--anthropic-key-file", key,
            "--telegram-api", self.info["telegram_api"], "--anthropic-api", self.info["anthropic_api"],
        ]  # fmt: skip

    def project(self, host):
        return pathlib.Path(self.hosts[host]["project_dir"])

    # --- Within

    def _quickstart(self, *words, failpoint=None):
        command = [str(REPOSITORY / "deploy/quickstart.sh"), "--fleet-dir", str(self.folder), "--min-memory-limit", "64"]
        environment = dict(self._environment)
        if failpoint:
            environment["MTP_FAILPOINT"] = failpoint
        if self._programs_first:
            environment["PATH"] = f"{self._programs_first}:{environment['PATH']}"
        return self._output([*command, *words], environment)

    def _output(self, command, environment=None):
        # Not a pipe for standard error: what is started lives on and would hold it open.
        with open(self.work / "commands.log", "a", encoding="utf-8") as log:
            done = subprocess.run(
                command, env=environment or self._environment, stdout=subprocess.PIPE, stderr=log,
                stdin=subprocess.DEVNULL, text=True, check=False,
            )  # fmt: skip
        if done.returncode != 0:
            print(done.stdout[-2000:], file=sys.stderr)
            raise FleetError(f"{' '.join(command)} ended with {done.returncode}; see {log.name}")
        return done.stdout
