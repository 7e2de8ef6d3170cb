"""Holds what there is after a case to what there may be."""

import time

from fleet import HOST, wait_for
from world import SUBJECT, Observer, differences

SETTLE_S = 30  # until all is as it ought to be after the end


class CaseFailed(Exception):
    """Its arguments are sentences."""


class Judge:
    def __init__(self, fleet):
        self._fleet = fleet
        self.observer = Observer(fleet)
        self._told = {}  # what an earlier case has left in the repository is held against that one alone

    def look(self, attempt, since=None):
        """The world; with `since`, also what has become more or less since the attempt was begun."""
        world = self.observer.look(attempt.pulse)
        for tenant in self._fleet.ask("status")["tenants"]:
            facts = (tenant["status"], tenant["health"], tenant["host"], tenant["memory_limit_mib"])
            world[f"status {tenant['name']}"] = " ".join(map(str, facts))
        if since:
            world["change of backups"] = str(len(self._fleet.backups(SUBJECT)) - attempt.backups)
            world["change of folders kept aside"] = str(self.observer.quarantined(HOST) - attempt.quarantined)
            world["change of starts of the container"] = str(self.observer.starts(HOST, since, time.time()))
        return world

    def settled(self, attempt, since=None):
        """The world as soon as it stands still and nothing in it is on its way."""
        last = {}

        def still():
            nonlocal last
            before, last = last, self.look(attempt, since)
            way = any(word in last.get(f"status {SUBJECT}", "") for word in ("starting", "updating", "unknown"))
            return last if last == before and not way and not any("running action" in what for what in last) else None

        if not wait_for(SETTLE_S, still, pause=0.3):
            look = [f"{what}: {how}" for what, how in last.items() if SUBJECT in what or "action" in what]
            raise CaseFailed("the fleet does not come to rest; the last look was", *look[:10])
        return last

    def judge(self, attempt, done, operations, repetition, called_off, patience_s=SETTLE_S):
        """Sentences of what is wrong. `done`: the world after a run without a crash. `repetition`: exit code and words of
        the same request, made again."""
        operation = operations[0]
        succeeded = operation["state"] == "succeeded"
        wrong = []
        if succeeded != (repetition[0] == 0):
            wrong.append(f"it is {operation['state']}, and its repetition ends with {repetition[0]}: {repetition[1]}")
        count = len([one for one in operations if one["request_id"] == attempt.request])
        if count != 1:
            wrong.append(f"there are {count} operations for one request")
        if not succeeded:
            sentence = (operation["error"] or {}).get("message", "")
            if len(sentence) < 20 or "\n" in sentence:
                wrong.append(f"it is {operation['state']} without a sentence: {sentence!r}")
        if called_off and succeeded:
            wrong.append("it succeeded although it was called off")
        allowed = [attempt.before, done] if attempt.kind.may_be_done(operation) else [attempt.before]
        allowed = [done] if succeeded else allowed
        if not wait_for(patience_s, lambda: any(self._is(attempt, world, succeeded) for world in allowed), pause=0.3):
            wrong += differences(*_comparable(allowed[0], self.look(attempt, attempt.begun), succeeded))
        if succeeded:
            wrong += attempt.kind.check(self._fleet, self.observer, operation, attempt)
        if attempt.kind.uses_repository:
            found = self.observer.repository()
            wrong += differences({}, {what: how for what, how in found.items() if what not in self._told})
            self._told = found
        return wrong

    def _is(self, attempt, expected, succeeded):
        expected, found = _comparable(expected, self.look(attempt, attempt.begun), succeeded)
        return expected == found


def _comparable(expected, found, succeeded):
    if succeeded:
        return expected, found
    # What was undone may have made a backup, kept data aside, and started the tenant again.
    return [{what: how for what, how in world.items() if not what.startswith("change ")} for world in (expected, found)]
