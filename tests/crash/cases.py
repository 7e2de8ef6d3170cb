"""The crash matrix as a table: operation kind x step x party x failure point.

Kinds, steps and phases come from the programs' code (step_table). What is said here besides is which
action of a host a step asks for. That is held to what a fleet really passes: a run of each kind
without a crash is traced, and a point that is passed but is not in the table fails the matrix, as
does one that is in the table but is never passed.
"""

import collections
import json
import re
import subprocess

CONTROLLER, AGENT = "controller", "agent"

# The action on the tenant's host that a step waits for. A step that is not here has none: it changes the
# controller's store alone.
ACTIONS = {
    ("provision", "start-container"): "apply",
    ("start", "start-container"): "start",
    ("stop", "stop-container"): "stop",
    ("restart", "restart-container"): "restart",
    ("set", "limit"): "limit",
    ("set-failover", "policy"): "set_failover",
    ("reconfigure", "start-container"): "reconfigure",
    ("reconfigure", "soak"): "soak+duration",
    ("remove", "stop"): "stop",
    ("remove", "backup"): "snapshot",
    ("remove", "remove-from-host"): "remove",
    ("backup", "snapshot"): "snapshot",
    ("verify-backup", "verify"): "verify",
    ("drill", "drill"): "drill",
    ("restore", "restore-data"): "restore",
    ("restore", "start-container"): "apply",
    ("prune", "forget"): "forget",
    ("check-repository", "check"): "check",
    ("update", "pull"): "pull",
    ("update", "backup"): "snapshot",
    ("update", "rehearse"): "drill",
    ("update", "stop"): "stop+idle_wait",
    ("update", "final-backup"): "snapshot",
    ("update", "start-container"): "apply",
    ("update", "soak"): "soak+duration",
    ("rollout", "resolve"): "pull",
}
# Of the ways back: the action that undoing a step asks for. Undoing another one changes the controller's store alone.
UNDO_ACTIONS = {
    ("provision", "start-container"): "remove",
    ("set", "limit"): "limit",
    ("set-failover", "policy"): "set_failover",
    ("reconfigure", "start-container"): "reconfigure",
    ("remove", "stop"): "start",
    ("restore", "restore-data"): "start",
    ("update", "start-container"): "restore",
    ("update", "stop"): "apply",
}
# Where an operation of the kind is called off, so that it has to go back: while the agent is dead at this point of this
# step's action, as far on as there is a way back. A rollout's is that of the update that it has begun.
CALLED_OFF = {
    "provision": ("start-container", ["before-persist", "/start-container#end"]),
    "start": ("start-container", ["before-persist", "/start-container#end"]),
    "stop": ("stop-container", ["before-persist", "/stop-container#begin"]),
    "restart": ("restart-container", ["before-persist", "/restart-container#end"]),
    "set": ("limit", ["before-persist", "/limit#end"]),
    "set-failover": ("policy", ["before-persist", "/policy#end"]),
    "reconfigure": ("soak", ["before-persist", "/soak#save"]),
    "remove": ("backup", ["after-phase", "/backup#7"]),
    "backup": ("snapshot", ["after-phase", "/snapshot#7"]),
    "verify-backup": ("verify", ["after-phase", "/verify#1"]),
    "drill": ("drill", ["after-phase", "/drill#7"]),
    "restore": ("restore-data", ["after-phase", "/restore-data#1"]),
    "prune": ("forget", ["before-persist", "/forget", "#begin"]),
    "check-repository": ("check", ["after-phase", "/check", "#1"]),
    "update": ("soak", ["before-persist", "/soak#save"]),
    "rollout": ("waves", ["before-persist", "/soak#save"]),
}
# Kinds whose action, once it goes on, has soon done what it does not undo: there restic is held until the action hears
# that it is called off.
HAS_NO_WAY_BACK_SOON = {"restore"}
# Actions that no case reaches.
NOT_REACHED = {
    "backup": "the archive on the host, of a fleet without any repository",
    "soak": "as soak+duration, without the watching",
}
# Steps without an action that wait all the same: for other operations.
WAITS = {("rollout", "waves")}
# Actions that journal something before they end.
SAVES = {"limit", "restart", "reconfigure", "restore", "forget", "stop+idle_wait", "soak+duration"}

Case = collections.namedtuple("Case", "number kind step party point parts held_at")
# parts: what the key of the point holds, each of them. held_at: of a case on the way back, the point at which the agent is
# dead while the operation is called off; empty of others.


class TableError(Exception):
    """The table cannot be made, or is not what the programs do."""


def read_step_table(program):
    return json.loads(subprocess.run([program], check=True, capture_output=True, text=True).stdout)


def persist_points(step, party, parts):
    for point in ("before-persist", "after-persist"):
        yield step, party, point, parts


def controller_points(kind, steps):
    """(step, party, point, parts) of one kind, in the order in which they are passed."""
    for step in ["accept", *steps, "end"]:
        if step in ("accept", "end"):
            stages = [""]
        else:
            # The begin of a later step is one change with the end of the step before it. Before `#wait` and `#done` the
            # step's function has run and nothing of it is persisted; after the change before them it has not run.
            stages = ["begin"] if step == steps[0] else []
            stages += ["wait"] if (kind, step) in ACTIONS or (kind, step) in WAITS else []
            stages += ["done"]
        for stage in stages:
            yield from persist_points(step, CONTROLLER, [f"{kind}/", f"/{step}#{stage}"])


def agent_points(step, action, phases):
    """The same of the step's action on a host; nothing without one."""
    if action is None:
        return
    for stage in ["#begin", "#save"] if action in SAVES else ["#begin"]:
        yield from persist_points(step, AGENT, [f"/{step}", stage])
    # After the last one nothing happens before the end is journaled.
    for phase in range(1, phases[action]):
        yield step, AGENT, "after-phase", [f"/{step}", f"#{phase}"]
    yield from persist_points(step, AGENT, [f"/{step}", "#end"])


def undo_points(kind, steps, phases):
    """The same of the way back. `steps`: names, and whether there is something to undo."""
    last = CALLED_OFF[kind][0]
    undone = [name for name, undo in reversed(list(steps.items())[: list(steps).index(last) + 1]) if undo]
    changes = [(f"{last}/undo", f"/{last}#turn-back")]
    for step in undone:
        changes += [(f"{step}/undo", f"/{step}/undo#wait")] if (kind, step) in UNDO_ACTIONS else []
        changes.append((f"{step}/undo", f"/{step}/undo#done"))
    changes.append(("end/undo", "/end#end"))
    for step, part in changes:
        yield from persist_points(step, CONTROLLER, [f"{kind}/", part])
    for step in undone:
        yield from agent_points(f"{step}/undo", UNDO_ACTIONS.get((kind, step)), phases)


def make_cases(table, known_kinds):
    """All cases. Raises TableError for what the matrix does not know: a new kind, step or action."""
    phases = {action["name"]: action["phases"] for action in table["actions"]}
    unknown = set(phases) - set(ACTIONS.values()) - set(NOT_REACHED)
    if unknown:
        raise TableError(f"no step is known to ask for the action {sorted(unknown)[0]}; add it to ACTIONS")
    kinds = {kind["name"]: {step["name"]: step["undo"] for step in kind["steps"]} for kind in table["kinds"]}
    for kind, step in ACTIONS:
        if step not in kinds.get(kind, []):
            raise TableError(f"the kind {kind} has no step {step} any more; take it from ACTIONS")
    rows = []
    for kind, steps in kinds.items():
        if kind not in known_kinds or kind not in CALLED_OFF:
            raise TableError(f"the matrix does not know how to ask for the operation {kind}; add it to KINDS and CALLED_OFF")
        rows += [(kind, *point, []) for point in controller_points(kind, list(steps))]
        for step in steps:
            rows += [(kind, *point, []) for point in agent_points(step, ACTIONS.get((kind, step)), phases)]
    for kind, steps in kinds.items():
        rows += [(kind, *point, CALLED_OFF[kind][1]) for point in undo_points(kind, steps, phases)]
    return [Case(number, *row) for number, row in enumerate(rows, 1)]


def shown_point(case):
    """The point with its stage, as people read it."""
    stages = [part.partition("#")[2] for part in case.parts]
    return case.point + "".join(f"#{stage}" for stage in stages if stage)


TRACED = re.compile(r"^failpoint (\S+) (.*)$")


def unknown_points(cases, kinds, party, lines):
    """Points that the party has passed in operations of these kinds, and that are in no case."""
    own = [case for case in cases if case.kind in kinds and case.party == party]
    unknown = set()
    for line in lines:
        found = TRACED.match(line)
        if not found or _is_of_another(kinds, party, found[2]):
            continue
        point, key = found.groups()
        if any(case.point == point and all(part in key for part in case.parts) for case in own):
            continue
        # No cases, since nothing happens between them and the next point: see controller_points and agent_points.
        last_phase = point == "after-phase" and any(case.parts[0] in key for case in own)
        if point in ("before-step", "after-step") or last_phase:
            continue
        unknown.add(f"{point} {key}")
    return sorted(unknown)


def _is_of_another(kinds, party, key):
    if party == CONTROLLER:
        return key.split("/")[0] not in kinds
    # Recoveries of the agent's own begin by themselves.
    return key.startswith("recovery/")
