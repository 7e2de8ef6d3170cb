#!/usr/bin/env python3
"""The contract between OpenClaw and MTP, as cases that run the same against any image of it.

  contract_test.py --image REF --telegram URL --anthropic URL --folder F [CASE…]

The engine is the one at $DOCKER_HOST; URLs are the stand-ins' as containers reach them. contract_test.sh
runs all this against the double and against the real OpenClaw.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import unittest
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
TEMPLATE = HERE.parents[2] / "deploy" / "tenant-template.json5"
HARDENING = ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--init", "--pids-limit", "512",
             "--read-only", "--tmpfs", "/tmp:size=256m,mode=1777"]
GATEWAY_TOKEN = "contract-gateway-token"
READY_WITHIN_S = 240
options = None


def docker(*words, check=True):
    return subprocess.run(["docker", *words], check=check, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def rendered(*names):
    """The template with the parts that `names` switch on, as the agent renders it."""
    lines, wanted = [], []
    for line in TEMPLATE.read_text().splitlines():
        if found := re.match(r"\s*// mtp:if (\w+)\s*$", line):
            wanted.append(found[1] in names)
        elif re.match(r"\s*// mtp:end\s*$", line):
            wanted.pop()
        elif all(wanted):
            lines.append(line)
    return "\n".join(lines)


def wait_for(what, condition, timeout_s):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.2)
    raise AssertionError(f"{what}: not within {timeout_s} s")


def control(path, **values):
    request = urllib.request.Request(f"{options.telegram}/control/{path}", json.dumps(values).encode(),
                                     {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=10))


class Tenant:
    """One container with a bot of its own."""

    def __init__(self, name, config, token):
        self.name = name
        self.token = token
        self.folder = pathlib.Path(options.folder) / name
        (self.folder / ".openclaw").mkdir(parents=True, exist_ok=True)
        (self.folder / "workspace").mkdir(exist_ok=True)
        (self.folder / ".openclaw" / "openclaw.json").write_text(config)
        for path in [self.folder, *self.folder.rglob("*")]:
            os.chown(path, 1000, 1000)
        docker("rm", "--force", name, check=False)

    def start(self):
        docker("run", "--detach", "--name", self.name, *HARDENING, *self.mounts_and_environment(), options.image)

    def mounts_and_environment(self):
        environment = {
            "OPENCLAW_GATEWAY_TOKEN": GATEWAY_TOKEN, "TELEGRAM_BOT_TOKEN": self.token,
            "TELEGRAM_API_ROOT": options.telegram, "ANTHROPIC_API_KEY": "key-of-" + self.name,
            "ANTHROPIC_BASE_URL": options.anthropic, "XDG_CACHE_HOME": "/home/node/.openclaw/cache",
            "NODE_OPTIONS": "--max-semi-space-size=2"}
        words = [word for name, value in environment.items() for word in ("--env", f"{name}={value}")]
        return [*words, "--volume", f"{self.folder}/.openclaw:/home/node/.openclaw",
                "--volume", f"{self.folder}/workspace:/home/node/workspace"]

    def inspect(self, template):
        return docker("inspect", "--format", template, self.name).stdout.strip()

    def _inside(self, *command, stdin=""):
        pid = self.inspect("{{.State.Pid}}")
        return subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "--", *command], text=True, input=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def probe(self, page, host="127.0.0.1"):
        out = self._inside("curl", "--silent", "--max-time", "5", "--write-out", "\n%{http_code}",
                           f"http://{host}:18789/{page}").stdout
        body, _, status = out.rpartition("\n")
        try:
            return int(status), json.loads(body)
        except ValueError:
            return 0, {}

    def address(self):
        return self.inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")

    def rpc(self, *calls, token=GATEWAY_TOKEN, host="127.0.0.1"):
        answer = self._inside(sys.executable, str(HERE / "gateway_client.py"), host, "18789",
                              stdin=json.dumps({"token": token, "calls": calls}))
        if answer.returncode:
            raise AssertionError(answer.stderr)
        return json.loads(answer.stdout)

    def channel(self):
        answer = self.rpc(["channels.status", {}])["answers"][0]
        return answer["payload"]["channelAccounts"]["telegram"][0]

    def wait_ready(self):
        wait_for(f"{self.name} is ready", lambda: self.probe("readyz")[0] == 200, READY_WITHIN_S)

    def logs(self):
        found = docker("logs", self.name)
        return found.stdout + found.stderr

    def say(self, text, **more):
        return control("push", token=self.token, text=text, **more)

    def answers(self, pushed):
        shown = control("chat", token=self.token, chat_id=pushed["chat_id"])["messages"]
        return [m["text"] for m in shown if m["message_id"] > pushed["message_id"]]

    def remove(self):
        docker("rm", "--force", self.name, check=False)


class ConfigValidate(unittest.TestCase):
    def validate(self, config, *words):
        tenant = Tenant("contract-validate", config, "100:contract")
        return docker("run", "--rm", "--network", "none", *HARDENING, *tenant.mounts_and_environment(),
                      options.image, "openclaw", "config", "validate", *words, check=False)

    def test_every_shape_of_the_template_is_valid(self):
        for names in [(), ("telegram", "anthropic"), ("openai",), ("openrouter",),
                      ("telegram", "telegram_api", "anthropic", "anthropic_api")]:
            with self.subTest(names=names):
                result = self.validate(rendered(*names), "--json")
                self.assertEqual(result.returncode, 0, result.stdout)
                self.assertTrue(json.loads(result.stdout)["valid"])

    def test_the_template_as_it_stands_is_valid(self):
        self.assertEqual(self.validate(TEMPLATE.read_text(), "--json").returncode, 0)

    def test_names_the_setting_that_is_wrong(self):
        result = self.validate(rendered("telegram").replace('mode: "local"', 'mode: "elsewhere"'), "--json")
        self.assertEqual(result.returncode, 1)
        answer = json.loads(result.stdout)
        self.assertFalse(answer["valid"])
        self.assertEqual([issue["path"] for issue in answer["issues"]], ["gateway.mode"])

    def test_refuses_an_unknown_setting(self):
        result = self.validate(rendered().replace('mode: "local"', 'mode: "local", nonsense: 1'), "--json")
        self.assertEqual(result.returncode, 1)
        self.assertEqual(json.loads(result.stdout)["issues"][0]["path"], "gateway")

    def test_refuses_what_is_no_json5(self):
        result = self.validate("{ gateway: {", "--json")
        self.assertEqual(result.returncode, 1)
        self.assertIn("JSON5 parse failed", json.loads(result.stdout)["issues"][0]["message"])

    def test_an_invalid_configuration_stops_the_gateway_from_starting(self):
        tenant = Tenant("contract-invalid", rendered().replace('mode: "local"', 'mode: "elsewhere"'), "100:contract")
        self.addCleanup(tenant.remove)
        tenant.start()
        wait_for("it ends", lambda: tenant.inspect("{{.State.Running}}") == "false", 60)
        self.assertNotEqual(tenant.inspect("{{.State.ExitCode}}"), "0")


class RunningTenant(unittest.TestCase):
    """Cases on one tenant that runs: names give the order, since a start of the real one takes long."""

    @classmethod
    def setUpClass(cls):
        cls.tenant = Tenant("contract-tenant", rendered("telegram", "telegram_api", "anthropic", "anthropic_api"),
                            "101:contract")
        control("forget", token=cls.tenant.token)
        cls.tenant.start()
        cls.tenant.wait_ready()

    @classmethod
    def tearDownClass(cls):
        cls.tenant.remove()

    def test_1_probes_say_more_to_loopback_callers(self):
        self.assertEqual(self.tenant.probe("healthz"), (200, {"ok": True, "status": "live"}))
        status, startup = self.tenant.probe("startupz")
        self.assertEqual((status, startup["status"]), (200, "started"))
        status, ready = self.tenant.probe("readyz")
        self.assertEqual((status, ready["ready"], ready["failing"]), (200, True, []))
        self.assertGreater(ready["uptimeMs"], 0)
        self.assertEqual(self.tenant.probe("readyz", self.tenant.address()), (200, {"ready": True}))

    def test_1_rpc_refuses_another_token(self):
        result = self.tenant.rpc(token="another")
        self.assertEqual(result["challenge"]["event"], "connect.challenge")
        self.assertEqual(result["connect"]["error"]["details"]["code"], "AUTH_TOKEN_MISMATCH")
        self.assertEqual(result["close"][0], 1008)

    def test_1_rpc_greets_and_names_its_methods(self):
        payload = self.tenant.rpc()["connect"]["payload"]
        self.assertEqual((payload["type"], payload["protocol"]), ("hello-ok", 4))
        for method in ("health", "status", "channels.status", "sessions.list", "config.get"):
            self.assertIn(method, payload["features"]["methods"])

    def test_1_rpc_answers_what_the_agent_reads(self):
        wait_for("the channel is connected", lambda: self.tenant.rpc(["health", {}])["answers"][0]["payload"][
            "channels"]["telegram"]["connected"], 30)
        health, channels, config, unknown = self.tenant.rpc(
            ["health", {}], ["channels.status", {}], ["config.get", {}], ["no.such", {}])["answers"]
        telegram = health["payload"]["channels"]["telegram"]
        self.assertEqual((telegram["configured"], telegram["running"], telegram["lifecycle"], telegram["lastError"]),
                         (True, True, "ready", None))
        self.assertTrue(channels["payload"]["channelAccounts"]["telegram"][0]["connected"])
        self.assertIn("${TELEGRAM_BOT_TOKEN}", config["payload"]["raw"])
        self.assertEqual(config["payload"]["parsed"]["gateway"]["mode"], "local")
        self.assertTrue(config["payload"]["hash"])
        self.assertEqual(unknown["error"], {"code": "INVALID_REQUEST", "message": "unknown method: no.such"})

    def test_1_rpc_grants_nothing_to_callers_from_the_network(self):
        answer = self.tenant.rpc(["config.get", {}], host=self.tenant.address())["answers"][0]
        self.assertEqual((answer["ok"], answer["error"]["code"]), (False, "FORBIDDEN"))
        self.assertIn("missing scope", answer["error"]["message"])

    def test_2_answers_a_message(self):
        pushed = self.tenant.say("hello")
        wait_for("the answer", lambda: self.tenant.answers(pushed) == ["You said: hello"], 60)

    def test_3_long_answers_come_in_order_in_messages_of_at_most_4000(self):
        pushed = self.tenant.say("please repeat 9000")
        wait_for("the whole answer", lambda: sum(map(len, self.tenant.answers(pushed))) > 8900, 60)
        texts = self.tenant.answers(pushed)
        self.assertGreaterEqual(len(texts), 3)
        self.assertLessEqual(max(map(len, texts)), 4000)
        words = re.findall(r"w\d{5}", " ".join(texts))
        self.assertEqual(words, [f"w{number:05d}" for number in range(len(words))])

    def test_3_answers_in_a_group_only_when_mentioned(self):
        ignored = self.tenant.say("nobody is meant", kind="group")
        pushed = self.tenant.say("good morning", kind="group", mention=True)
        wait_for("the answer", lambda: self.tenant.answers(pushed), 60)
        self.assertEqual(len(self.tenant.answers(ignored)), 1)

    def test_4_keeps_its_sessions_in_a_database_in_wal_mode(self):
        sessions = self.tenant.rpc(["sessions.list", {}])["answers"][0]["payload"]["sessions"]
        self.assertIn("agent:main:main", [session["key"] for session in sessions])
        header = (self.tenant.folder / ".openclaw/state/openclaw.sqlite").read_bytes()[:20]
        self.assertEqual((header[:15], header[18], header[19]), (b"SQLite format 3", 2, 2))

    def test_5_goes_on_after_a_restart_without_answering_twice(self):
        before = control("bot", token=self.tenant.token)["methods"].get("sendMessage", 0)
        docker("restart", "--time", "60", self.tenant.name)
        self.tenant.wait_ready()
        pushed = self.tenant.say("still there?")
        wait_for("the answer", lambda: self.tenant.answers(pushed) == ["You said: still there?"], 60)
        self.assertEqual(control("bot", token=self.tenant.token)["methods"]["sendMessage"], before + 1)
        self.assertEqual(control("bot", token=self.tenant.token)["pollers_max"], 1)

    def test_6_stays_ready_while_the_bot_api_fails_and_comes_back_by_itself(self):
        control("mode", token=self.tenant.token, mode="500")
        wait_for("it asks again", lambda: "500" in self.tenant.logs() or "Internal Server Error" in self.tenant.logs(), 60)
        self.assertEqual(self.tenant.probe("readyz")[0], 200)
        self.assertTrue(self.tenant.channel()["connected"])
        control("mode", token=self.tenant.token, mode="ok")
        pushed = self.tenant.say("back again")
        wait_for("the answer", lambda: self.tenant.answers(pushed), 90)

    def test_7_waits_long_after_a_conflict(self):
        control("mode", token=self.tenant.token, mode="409")
        wait_for("it meets the conflict", lambda: "getUpdates conflict" in self.tenant.logs(), 60)
        wait_for("the channel is lost", lambda: not self.tenant.channel()["connected"], 10)
        self.assertIn("onflict", self.tenant.channel()["lastError"])
        # Of which the probe says nothing in the first two minutes after the channel's start.
        status, ready = self.tenant.probe("readyz")
        if not 110_000 < ready["uptimeMs"] < 140_000:
            self.assertEqual(status, 200 if ready["uptimeMs"] < 120_000 else 503)
        control("mode", token=self.tenant.token, mode="ok")
        polls = control("bot", token=self.tenant.token)["methods"]["getUpdates"]
        time.sleep(25)  # What is shown is that nothing happens meanwhile.
        self.assertEqual(control("bot", token=self.tenant.token)["methods"]["getUpdates"], polls)
        pushed = self.tenant.say("after the conflict")
        wait_for("the answer", lambda: self.tenant.answers(pushed), 90)
        self.assertTrue(self.tenant.channel()["connected"])

    def test_8_a_dead_token_ends_the_channel_until_a_restart(self):
        control("mode", token=self.tenant.token, mode="401")
        status, ready = wait_for("it is not ready", lambda: (p := self.tenant.probe("readyz"))[0] == 503 and p, 90)
        self.assertEqual((ready["ready"], ready["failing"]), (False, ["telegram"]))
        self.assertEqual(self.tenant.probe("healthz")[0], 200)
        telegram = self.tenant.rpc(["health", {}])["answers"][0]["payload"]["channels"]["telegram"]
        self.assertEqual((telegram["running"], telegram["connected"], telegram["healthState"]),
                         (False, False, "terminal-disconnect"))
        control("mode", token=self.tenant.token, mode="ok")
        time.sleep(5)  # What is shown is that nothing happens meanwhile.
        self.assertEqual(self.tenant.probe("readyz")[0], 503)
        docker("restart", "--time", "60", self.tenant.name)
        self.tenant.wait_ready()

    def test_9_ends_a_running_turn_before_it_stops(self):
        pushed = self.tenant.say("wait 8 please")
        wait_for("the model is asked", lambda: any(
            "wait 8" in call["text"] for call in json.load(urllib.request.urlopen(
                f"{options.anthropic}/control/calls?key=key-of-{self.tenant.name}"))["calls"]), 30)
        docker("stop", "--time", "60", self.tenant.name)
        self.assertEqual(self.tenant.inspect("{{.State.ExitCode}}"), "0")
        self.assertIn("You said: wait 8 please", self.tenant.answers(pushed))


def main():
    global options
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("image", "telegram", "anthropic", "folder"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("cases", nargs="*")
    options = parser.parse_args()
    loader = unittest.TestLoader()
    module = sys.modules[__name__]
    suite = loader.loadTestsFromNames(options.cases, module) if options.cases else loader.loadTestsFromModule(module)
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
