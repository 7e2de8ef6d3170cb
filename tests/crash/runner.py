"""Carries cases out, one after another, each from the state in which the last one left the tenant."""

import contextlib
import datetime
import hashlib
import json
import time

from cases import AGENT, CONTROLLER, HAS_NO_WAY_BACK_SOON, shown_point, unknown_points
from fleet import HOST, FleetError, wait_for
from judge import SETTLE_S, CaseFailed, Judge
from kinds import ABSENT, KINDS, RUNNING, STOPPED, write_pulse
from world import SUBJECT, differences

DEATH_S = 120  # until the point is passed
BYSTANDERS = {"bystander-1": "h1", "bystander-2": "h2"}
# Words of each way from one state of the tenant to another.
WAYS = {
    (STOPPED, RUNNING): [["start", SUBJECT]],
    (RUNNING, STOPPED): [["stop", SUBJECT]],
    (RUNNING, ABSENT): [["remove", SUBJECT, "--yes"]],
    (STOPPED, ABSENT): [["remove", SUBJECT, "--yes"]],
}


class Attempt:
    """One time that the operation of a kind is asked for, with what there was before."""

    def __init__(self, runner, kind, number):
        self.kind = KINDS[kind]
        self.name = kind
        self.request = f"crash-{number}-{time.time_ns()}"
        self.pulse = f"case {number} at {time.time_ns()}"
        self.pulses = [self.pulse]  # every one that the tenant had while the operation went on
        runner.go_to(self.kind.needs)
        if self.kind.needs != ABSENT:
            write_pulse(runner.fleet, self.pulse)
        self.kind.prepare(runner.fleet)
        if self.kind.needs != ABSENT:
            write_pulse(runner.fleet, self.pulse)
        self.words = self.kind.words(runner.fleet)
        self.backups = len(runner.fleet.backups(SUBJECT))
        self.quarantined = runner.judge.observer.quarantined(HOST)
        self.begun = time.time()
        self.before = runner.judge.settled(self)

    def while_dead(self, fleet):
        """The tenant works on while a party is dead."""
        self.pulse = self.kind.meanwhile(fleet, self.pulse)
        self.pulses.append(self.pulse)

    def begun_text(self):
        return datetime.datetime.fromtimestamp(self.begun, datetime.timezone.utc).isoformat()


class Runner:
    def __init__(self, fleet, everything, plant=None):
        self.fleet = fleet
        self.everything = everything
        self.plant = plant
        self.learned = {}  # by kind and start: the world after a run without a crash
        self.traced = set()
        self.judge = None
        self.total = 0
        self.told = 0
        self.passed = 0

    def run(self, cases):
        self.total = len(cases)
        self._prepare()
        waiting = list(cases)
        while waiting:
            state = self.state()
            case = next((one for one in waiting if KINDS[one.kind].needs == state), waiting[0])
            waiting.remove(case)
            self.passed += 1 if self._carry_out(case) else 0

    def _prepare(self):
        for number, (name, host) in enumerate(BYSTANDERS.items(), 2):
            self.fleet.cli(*self.fleet.provision_words(name, number, host))
        self.judge = Judge(self.fleet)

    # --- One case

    def _carry_out(self, case):
        start = time.monotonic()
        try:
            attempt = self._learned_attempt(case)
            start = time.monotonic()
            back = (self._crash_on_the_way_back if case.held_at else self._crash)(case, attempt)
            repetition = self._repeat(attempt)
            if self.plant:
                self.plant(self.fleet)
            operations, done = self._operations(attempt), self.learned[self._key(attempt)]
            patience_s = 3 if self.plant else SETTLE_S
            wrong = self.judge.judge(attempt, done, operations, repetition, bool(case.held_at), patience_s)
            if wrong:
                raise CaseFailed(*wrong, *self._operation_lines(attempt))
        except CaseFailed as failure:
            self._tell(case, start, "FAILED", failure.args)
            # What is left of it is not held against the next ones, but learned anew.
            self.learned.clear()
            self._mend()
            return False
        self._tell(case, start, f"ok, the end was {back:.1f} s after the restart", [])
        return True

    def _tell(self, case, start, outcome, sentences):
        seconds = time.monotonic() - start
        self.told += 1
        what = f"{case.number:>4}  {case.kind:16}  {case.step:17}  {case.party:10}  {shown_point(case):24}"
        print(f"{self.told:>4}/{self.total}  {what} {seconds:5.1f} s  {outcome}")
        for sentence in sentences:
            print(f"          {sentence}")
        if sentences:
            print(f"          again: tests/run.sh crash --only {case.number}")
        # Whoever waits for it sees each at once.
        print(end="", flush=True)

    def _learned_attempt(self, case):
        """An attempt from whose start it is known where it ought to lead."""
        for number in range(4):
            attempt = Attempt(self, case.kind, case.number)
            if self._key(attempt) in self.learned:
                return attempt
            self._learn(attempt)
            last = attempt.before
        change = differences(last, attempt.before)
        raise CaseFailed("without a crash it never begins twice from the same state; the last change was", *change)

    @staticmethod
    def _key(attempt):
        return attempt.name, hashlib.sha256(json.dumps(attempt.before, sort_keys=True).encode()).hexdigest()

    def _learn(self, attempt):
        """Carries it out without a crash; the first of each kind also shows which points it passes."""
        traced = attempt.name not in self.traced
        ends = {}
        if traced:
            for party in (CONTROLLER, AGENT):
                self.fleet.kill(party)
                self.fleet.start(party, failpoint="trace")
                ends[party] = self.fleet.log(party).stat().st_size
        code, _, error = self.fleet.try_cli(*attempt.words, "--request-id", attempt.request)
        if code != 0:
            what = " ".join(attempt.words[:3])
            raise CaseFailed(f"without a crash `{what}` ends with {code}: {error.strip()[-400:]}")
        self.learned[self._key(attempt)] = self.judge.settled(attempt, since=attempt.begun)
        if not traced:
            return
        self.traced.add(attempt.name)
        unknown = []
        for party, end in ends.items():
            with open(self.fleet.log(party), encoding="utf-8", errors="replace") as log:
                log.seek(end)
                lines = log.read().splitlines()
            unknown += unknown_points(self.everything, attempt.kind.traced or (attempt.name,), party, lines)
            self.fleet.kill(party)
            self.fleet.start(party)
        if unknown:
            raise CaseFailed("points are passed that the table lacks; see ACTIONS and SAVES in cases.py", *unknown)

    def _crash(self, case, attempt):
        """Seconds from the start of the process that died to the end of the operation."""
        fleet = self.fleet
        fleet.kill(case.party)
        fleet.start(case.party, failpoint=":".join([case.point, *case.parts]))
        attempt.begun = time.time()
        command = fleet.begin_cli(*attempt.words, "--request-id", attempt.request, "--no-wait")
        died = self._wait_for_death(case.party, attempt)
        if not died:
            fleet.kill(case.party)
        attempt.while_dead(fleet)
        back = time.monotonic()
        fleet.start(case.party)
        error = command.communicate()[1].strip()[-400:]
        if not died:
            raise CaseFailed(f"the point was never passed; the command said: {error}", *self._operation_lines(attempt))
        if not self._operations(attempt):
            # It died before it had accepted anything: whoever asked asks again.
            self._repeat(attempt, "--no-wait")
        self._wait_for_end(attempt)
        return time.monotonic() - back

    def _crash_on_the_way_back(self, case, attempt):
        """The same for an operation that is called off while the agent is dead."""
        fleet, failpoint = self.fleet, ":".join([case.point, *case.parts])
        fleet.kill(AGENT)
        fleet.start(AGENT, failpoint=":".join(case.held_at))
        attempt.begun = time.time()
        command = fleet.begin_cli(*attempt.words, "--request-id", attempt.request, "--no-wait")
        if not self._wait_for_death(AGENT, attempt):
            fleet.kill(AGENT)
            fleet.start(AGENT)
            raise CaseFailed("it does not come to where it is called off", *self._operation_lines(attempt))
        command.communicate()
        if case.party == CONTROLLER:
            fleet.kill(CONTROLLER)
            fleet.start(CONTROLLER, failpoint, wait=False)
        # The controller may die at once; what it has not heard is asked for again below.
        attempt.kind.call_off(fleet, wait_for(10, lambda: self._operations(attempt)))
        # Back again it goes on with the action, which must not be over before it hears that it is called off.
        with fleet.held_restic() if case.kind in HAS_NO_WAY_BACK_SOON else contextlib.nullcontext():
            fleet.start(AGENT, failpoint if case.party == AGENT else None, wait=False)
            died = self._wait_for_death(case.party, attempt)
        if not died:
            fleet.kill(case.party)
        back = time.monotonic()
        fleet.start(case.party)
        if not died:
            raise CaseFailed("the point was never passed", *self._operation_lines(attempt))
        attempt.kind.call_off(fleet, self._operations(attempt))
        self._wait_for_end(attempt)
        return time.monotonic() - back

    def _wait_for_end(self, attempt):
        if not wait_for(attempt.kind.patience_s, lambda: self._ended(attempt)):
            sentence = f"the operation has not ended by itself within {attempt.kind.patience_s} s"
            raise CaseFailed(sentence, *self._operation_lines(attempt))

    def _wait_for_death(self, party, attempt):
        """Whether it died; an operation that has ended passes no point any more."""
        end = time.monotonic() + DEATH_S
        while time.monotonic() < end:
            if wait_for(2, lambda: not self.fleet.is_alive(party), pause=0.02):
                return True
            if self._ended(attempt):
                # What comes after the end is near.
                return wait_for(2, lambda: not self.fleet.is_alive(party), pause=0.02)
        return False

    def _repeat(self, attempt, *flags):
        code, _, error = self.fleet.try_cli(*attempt.words, "--request-id", attempt.request, *flags)
        return code, error.strip()[-400:]

    def _operations(self, attempt):
        return self.fleet.operations(attempt.request) or []

    def _ended(self, attempt):
        operations = self._operations(attempt)
        return bool(operations) and all(one["end_time"] for one in operations)

    def _operation_lines(self, attempt):
        operations = self._operations(attempt)
        return [f"{one['name']} {one['kind']} {one['state']}: {one['message']} {one['error']}" for one in operations]

    # --- The tenant's state

    def state(self):
        tenant = next((one for one in self.fleet.ask("status")["tenants"] if one["name"] == SUBJECT), None)
        if tenant is None:
            return ABSENT
        return STOPPED if tenant["status"] == "stopped" else RUNNING

    def go_to(self, wanted):
        state = self.state()
        if state == wanted:
            return
        if state == ABSENT:
            self.fleet.cli(*self.fleet.provision_words(SUBJECT, 1, HOST))
            state = RUNNING
        for words in WAYS.get((state, wanted), []):
            self.fleet.cli(*words)

    def _going_on(self):
        operations = self.fleet.ask("op", "list", "--limit", "100")["operations"]
        return [one for one in operations if not one["end_time"]]

    def _mend(self):
        """After a case that failed: the next one begins with another tenant of the name."""
        for party in (CONTROLLER, AGENT):
            self.fleet.kill(party)
            self.fleet.start(party)
        for one in self._going_on():
            self.fleet.try_cli("op", "cancel", one["name"].removeprefix("operations/"))
        if not wait_for(120, lambda: not self._going_on()):
            raise FleetError("an operation of a failed case cannot be ended")
        self.go_to(ABSENT)
