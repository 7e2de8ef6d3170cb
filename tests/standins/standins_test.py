#!/usr/bin/env python3
"""Tests of the stand-ins, over real sockets on loopback: python3 tests/standins/standins_test.py"""

import http.client
import json
import pathlib
import subprocess
import sys
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent


class StandInTest(unittest.TestCase):
    script = ""

    @classmethod
    def setUpClass(cls):
        if not cls.script:
            raise unittest.SkipTest("the base of the others")
        cls.process = subprocess.Popen([sys.executable, str(HERE / cls.script), "--listen", "127.0.0.1:0"],
                                       stdout=subprocess.PIPE, text=True)
        cls.port = json.loads(cls.process.stdout.readline())["port"]

    @classmethod
    def tearDownClass(cls):
        cls.process.terminate()
        cls.process.wait(10)
        cls.process.stdout.close()

    def connect(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        self.addCleanup(connection.close)
        return connection

    def ask(self, path, body=None, headers=None):
        connection = self.connect()
        connection.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body),
                           {"Content-Type": "application/json", **(headers or {})})
        response = connection.getresponse()
        return response.status, json.loads(response.read())

    def wait_for(self, condition, timeout_s=10):
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if condition():
                return
            time.sleep(0.02)
        self.fail("the condition never held")


class Telegram(StandInTest):
    script = "telegram.py"

    def call(self, token, method, **parameters):
        return self.ask(f"/bot{token}/{method}", parameters)

    def bot(self, token):
        return self.ask(f"/control/bot?token={token}")[1]

    def poll_in_background(self, token):
        connection = self.connect()
        connection.request("GET", f"/bot{token}/getUpdates?timeout=50")
        self.wait_for(lambda: self.bot(token)["pollers"] == 1)
        return connection

    def test_each_token_is_a_bot_of_its_own(self):
        self.assertEqual(self.call("11:a", "getMe")[1]["result"]["id"], 11)
        self.assertEqual(self.call("12:a", "getMe")[1]["result"]["id"], 12)
        self.ask("/control/push", {"token": "11:a", "text": "for eleven"})
        self.assertEqual(self.call("12:a", "getUpdates")[1]["result"], [])
        self.assertEqual(self.call("11:a", "getUpdates")[1]["result"][0]["message"]["text"], "for eleven")

    def test_what_is_no_token_is_unauthorized(self):
        self.assertEqual(self.call("nonsense", "getMe")[0], 401)

    def test_a_long_poll_ends_when_a_message_comes(self):
        waiting = self.poll_in_background("13:a")
        self.ask("/control/push", {"token": "13:a", "text": "hello"})
        self.assertEqual(len(json.loads(waiting.getresponse().read())["result"]), 1)

    def test_an_offset_confirms_what_came_before(self):
        first = self.ask("/control/push", {"token": "14:a", "text": "one"})[1]["update_id"]
        self.ask("/control/push", {"token": "14:a", "text": "two"})
        updates = self.call("14:a", "getUpdates", offset=first + 1)[1]["result"]
        self.assertEqual([u["message"]["text"] for u in updates], ["two"])
        self.assertEqual(self.bot("14:a")["pending"], 1)

    def test_a_second_poller_meets_a_conflict_and_is_counted(self):
        self.poll_in_background("15:a")
        self.assertEqual(self.call("15:a", "getUpdates")[0], 409)
        self.assertEqual((self.bot("15:a")["pollers_max"], self.bot("15:a")["conflicts"]), (2, 1))

    def test_a_poller_that_goes_away_makes_room_at_once(self):
        self.poll_in_background("16:a").close()
        self.wait_for(lambda: self.bot("16:a")["pollers"] == 0)
        self.assertEqual(self.call("16:a", "getUpdates")[0], 200)
        self.assertEqual(self.bot("16:a")["pollers_max"], 1)

    def test_a_poll_takes_no_longer_than_it_is_told(self):
        self.assertEqual(self.ask("/control/polls", {"seconds": 0.1})[1], {"seconds": 0.1})
        try:
            self.assertEqual(self.call("22:a", "getUpdates", timeout=50)[1]["result"], [])
        finally:
            self.assertEqual(self.ask("/control/polls", {"seconds": 1000})[1], {"seconds": 50})

    def test_modes_fail_as_they_are_named(self):
        for mode, status in (("401", 401), ("500", 500), ("409", 409)):
            with self.subTest(mode=mode):
                self.ask("/control/mode", {"token": "17:a", "mode": mode})
                self.assertEqual(self.call("17:a", "getUpdates")[0], status)
        self.ask("/control/mode", {"token": "17:a", "mode": "ok"})
        self.assertEqual(self.call("17:a", "getUpdates")[0], 200)

    def test_a_hanging_call_gets_no_answer_until_the_mode_ends(self):
        self.ask("/control/mode", {"token": "18:a", "mode": "hang"})
        connection = self.connect()
        connection.request("GET", "/bot18:a/getMe")
        self.wait_for(lambda: self.bot("18:a")["methods"].get("getMe") == 1)
        self.ask("/control/mode", {"token": "18:a", "mode": "ok"})
        with self.assertRaises(http.client.RemoteDisconnected):
            connection.getresponse()

    def test_refuses_text_that_is_too_long_and_edits_that_change_nothing(self):
        self.assertEqual(self.call("19:a", "sendMessage", chat_id=42, text="x" * 4097)[0], 400)
        sent = self.call("19:a", "sendMessage", chat_id=42, text="one")[1]["result"]["message_id"]
        self.assertEqual(self.call("19:a", "editMessageText", chat_id=42, message_id=sent, text="one")[0], 400)
        self.assertEqual(self.call("19:a", "editMessageText", chat_id=42, message_id=sent, text="two")[0], 200)
        shown = self.ask("/control/chat?token=19:a&chat_id=42")[1]["messages"]
        self.assertEqual([m["text"] for m in shown], ["two"])

    def test_a_mention_in_a_group_carries_its_entity_in_utf16_units(self):
        self.ask("/control/push", {"token": "20:a", "kind": "group", "text": "😀 @mtp_20_bot hi"})
        message = self.call("20:a", "getUpdates")[1]["result"][0]["message"]
        self.assertEqual(message["entities"], [{"type": "mention", "offset": 3, "length": 11}])
        self.assertEqual(message["chat"]["type"], "group")

    def test_130_bots_poll_at_once(self):
        got = []

        def poll(number):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            connection.request("GET", f"/bot{number}:many/getUpdates?timeout=50")
            got.append(len(json.loads(connection.getresponse().read())["result"]))
            connection.close()

        threads = [threading.Thread(target=poll, args=(number,)) for number in range(1000, 1130)]
        for thread in threads:
            thread.start()
        for number in range(1000, 1130):
            self.ask("/control/push", {"token": f"{number}:many", "text": "hello"})
        for thread in threads:
            thread.join(30)
        self.assertEqual(got, [1] * 130)


class Anthropic(StandInTest):
    script = "anthropic.py"

    def say(self, text, key="k", **more):
        return self.ask("/v1/messages", {"model": "m", "messages": [{"role": "user", "content": text}], **more},
                        {"x-api-key": key})

    def test_says_what_was_said_and_remembers_the_key(self):
        status, answer = self.say("good morning", key="key-1")
        self.assertEqual((status, answer["content"][0]["text"]), (200, "You said: good morning"))
        call = self.ask("/control/calls?key=key-1")[1]["calls"][0]
        self.assertEqual((call["text"], call["stream"]), ("good morning", False))

    def test_repeats_exactly_as_many_characters_as_asked(self):
        for count in (1, 9, 400, 9000):
            with self.subTest(count=count):
                self.assertEqual(len(self.say(f"repeat {count}")[1]["content"][0]["text"]), count)

    def test_max_tokens_bounds_an_answer(self):
        self.assertEqual(len(self.say("repeat 9000", max_tokens=100)[1]["content"][0]["text"]), 400)

    def test_streams_the_same_text_in_pieces(self):
        connection = self.connect()
        connection.request("POST", "/v1/messages", json.dumps(
            {"model": "m", "stream": True, "messages": [{"role": "user", "content": "repeat 900"}]}),
            {"x-api-key": "k"})
        events = [json.loads(line[6:]) for line in connection.getresponse().read().decode().splitlines()
                  if line.startswith("data: ")]
        text = "".join(e["delta"]["text"] for e in events if e["type"] == "content_block_delta")
        self.assertEqual(len(text), 900)
        self.assertEqual(events[-1]["type"], "message_stop")

    def test_refuses_a_call_without_a_key_and_in_mode_401(self):
        self.assertEqual(self.say("hi", key="")[0], 401)
        self.ask("/control/mode", {"key": "dead", "mode": "401"})
        self.assertEqual(self.say("hi", key="dead")[0], 401)
        self.assertEqual(self.say("hi", key="alive")[0], 200)


if __name__ == "__main__":
    del StandInTest
    unittest.main()
