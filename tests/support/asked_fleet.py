"""A fleet that is asked through mtp-cli."""

import os
import pathlib
import subprocess
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
BINARIES = REPOSITORY / "build/bin"


class FleetError(Exception):
    """The fleet, not what is tested, is not as it ought to be: the run cannot go on."""


def wait_for(seconds, condition, pause=0.1):
    """What `condition` returns as soon as that is true; what it returned last when it never is."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found or time.monotonic() > end:
            return found
        time.sleep(pause)


class AskedFleet:
    CLI_TIMEOUT_S = None  # of a command; None waits for as long as it takes

    def __init__(self, work, *cli_words):
        """`work`: a folder of its own. `cli_words`: what each command begins with."""
        self.work = work
        self._cli = [str(BINARIES / "mtp-cli"), *map(str, cli_words)]
        home = work / "home"
        home.mkdir()
        self._environment = {**os.environ, "HOME": str(home)}
        for name in ("SUDO_USER", "MTP_FAILPOINT", "MTP_CONTEXT", "MTP_CONFIG"):
            self._environment.pop(name, None)

    def try_cli(self, *words):
        """Exit code, standard output, standard error. 124 when it does not answer in time."""
        try:
            done = subprocess.run(
                [*self._cli, *map(str, words)], env=self._environment, capture_output=True, text=True, check=False,
                timeout=self.CLI_TIMEOUT_S,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return 124, "", f"no answer within {self.CLI_TIMEOUT_S} s"
        return done.returncode, done.stdout, done.stderr

    def cli(self, *words):
        """What it prints; for what has to succeed."""
        code, answer, error = self.try_cli(*words)
        if code != 0:
            raise FleetError(f"mtp-cli {' '.join(words)} ended with {code}: {error.strip()[-500:]}")
        return answer
