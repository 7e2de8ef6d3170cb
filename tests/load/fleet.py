"""A real controller in a folder of its own, and hosts with simulated engines."""

import json
import pathlib
import signal
import socket
import subprocess
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from asked_fleet import BINARIES, AskedFleet, FleetError, wait_for  # noqa: E402

# Below the ports that connections take by themselves.
FIRST_PORT = 20700


def free_port(first):
    for port in range(first, first + 1000):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise FleetError("no port is free")


class LoadFleet(AskedFleet):
    CLI_TIMEOUT_S = 60

    def __init__(self, work, hosts, work_ms):
        self.data = work / "controller"
        self.store = self.data / "state.db"
        self.hosts = hosts
        self.api_port = free_port(FIRST_PORT)
        self.join_port = free_port(self.api_port + 1)
        self.api = f"127.0.0.1:{self.api_port}"
        self.enrollment = f"127.0.0.1:{self.join_port}"
        self.admin = self.data / "operators/admin"
        super().__init__(work, "--controller", self.api, "--identity", self.admin)
        self.controller = None
        self._agents = None
        self._work_ms = work_ms
        self._started = []

    # --- Its life

    def up(self):
        self._run(
            BINARIES / "mtp-controller", "init", "--data-dir", self.data, "--fleet", "load", "--listen", self.api,
            "--enroll-listen", self.enrollment, "--policy", "spread", "--default-image", "openclaw:load-1",
        )  # fmt: skip
        self.start_controller()
        if not wait_for(30, lambda: self.try_cli("status")[0] == 0):
            raise FleetError("the controller does not answer within 30 s")
        tokens = "".join(self.cli("host", "token", f"h{number:02d}") for number in range(1, self.hosts + 1))
        with open(self.work / "agents.log", "w", encoding="utf-8") as log:
            self._agents = self._begin(
                [BINARIES / "load_agents", "--folder", self.work / "hosts", "--work-ms", self._work_ms],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        self._agents.stdin.write(tokens + "\n")
        self._agents.stdin.close()
        if not self._agents.stdout.readline().startswith("ready"):
            raise FleetError(f"the agents did not start; see {self.work}/agents.log")
        if not wait_for(60, lambda: self.ready_hosts() == self.hosts):
            raise FleetError(f"only {self.ready_hosts()} of {self.hosts} hosts were ready within a minute")
        # What comes by itself would hold tenants at moments that nobody expects.
        self.cli("backup", "schedule", "--off")
        self.cli("repository", "add", "sim", str(self.work / "repository"))
        self.viewer = self.work / "viewer"
        self.cli("operator", "add", "eve", "--role", "viewer", "--out", str(self.viewer))

    def start_controller(self):
        with open(self.work / "controller.log", "a", encoding="utf-8") as log:
            self.controller = self._begin(
                [BINARIES / "mtp-controller", "run", "--data-dir", self.data], stdout=log, stderr=log
            )

    def stop_controller(self):
        self.controller.send_signal(signal.SIGTERM)
        self.controller.wait(timeout=60)

    def down(self):
        """Ends what was started here and still runs, the newest first."""
        for process in reversed(self._started):
            if process.poll() is None:
                process.terminate()
        for process in reversed(self._started):
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()

    # --- What is asked of it

    def begin_cli(self, *words):
        """A command that goes on by itself, behind all else that runs here."""
        return self._begin(
            ["nice", "-n", "19", *self._cli, *words], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def end_cli(self, processes):
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(timeout=30)
            self._started.remove(process)

    def begin_caller(self, *words, identity=None):
        return self._begin(
            [
                BINARIES / "load_caller", "--controller", self.api, "--identity", identity or self.admin,
                "--enrollment", self.enrollment, "--authority", self.admin / "ca.pem", *words,
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=sys.stderr,
        )  # fmt: skip

    def caller(self, *words, identity=None, timeout=900):
        """Whether all went well, and what it says."""
        process = self.begin_caller(*words, identity=identity)
        return self.end_caller(process, timeout)

    def end_caller(self, process, timeout=900):
        answer, _ = process.communicate(timeout=timeout)
        self._started.remove(process)
        try:
            return process.returncode == 0, json.loads(answer)
        except json.JSONDecodeError as error:
            raise FleetError(f"load_caller ended with {process.returncode} and says nothing") from error

    def ready_hosts(self):
        code, answer, _ = self.try_cli("status", "-o", "json")
        return sum(host["state"] == "ready" for host in json.loads(answer)["hosts"]) if code == 0 else 0

    def ready_tenants(self):
        code, answer, _ = self.try_cli("status", "-o", "json")
        return sum(tenant["health"] == "ready" for tenant in json.loads(answer)["tenants"]) if code == 0 else 0

    # --- Within

    def _begin(self, command, **streams):
        process = subprocess.Popen(list(map(str, command)), env=self._environment, text=True, **streams)
        self._started.append(process)
        return process

    def _run(self, *command):
        done = subprocess.run(list(map(str, command)), env=self._environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise FleetError(f"{command[0]} {command[1]} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
