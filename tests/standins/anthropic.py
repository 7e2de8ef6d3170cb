#!/usr/bin/env python3
"""A stand-in for the Anthropic Messages API with answers that a test can foretell.

  anthropic.py [--listen ADDR:PORT]     prints one JSON line with its address

POST /v1/messages, streaming or not. What the user's last message says decides the answer, which
max_tokens bounds as with the real one (4 characters a token):
  … repeat N …   exactly N characters (at most 100,000): numbered words, so that order can be checked
  … wait S …     the answer begins after S seconds (at most 600)
  else           "You said: <the text>"

For tests, under /control/:
  GET  calls  [?key=K][&after=SEQ]   -> {calls: [{seq, key, model, stream, text, answer_chars, at}], next}
  GET  keys                          -> {keys: {K: calls}}
  POST mode   {key, mode: ok|401|429|500|hang}
"""

import asyncio
import collections
import json
import re
import time

import http_server
from http_server import Response, json_response

MAX_CALLS = 2000
MAX_KEYS = 5000
MAX_ANSWER = 100_000
MAX_WAIT_S = 600
PIECE = 400
ERRORS = {"401": "authentication_error", "429": "rate_limit_error", "500": "api_error"}


def text_of(content):
    if isinstance(content, str):
        return content
    parts = [part.get("text", "") for part in content or [] if isinstance(part, dict) and part.get("type") == "text"]
    return "\n".join(parts)


def said_by_the_user(messages):
    """What the person typed: OpenClaw adds messages of its own after it, and a block before it."""
    for message in reversed(messages or []):
        if not isinstance(message, dict) or message.get("role") != "user":
            break
        text = text_of(message.get("content"))
        if text and not text.startswith("<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>"):
            return text.rpartition("```\n\n")[2] if "Conversation info:" in text else text
    return ""


def numbered_words(count):
    words = " ".join(f"w{number:05d}" for number in range(count // 7 + 1))
    return (words + " .......")[:count].rstrip().ljust(count, ".")


def answer_to(text, max_tokens):
    repeats = re.findall(r"\brepeat (\d{1,6})\b", text)
    most = min(MAX_ANSWER, 4 * max_tokens)
    answer = numbered_words(min(int(repeats[-1]), most)) if repeats else "You said: " + text.strip()[-500:]
    return answer[:most]


def wait_before(text):
    waits = re.findall(r"\bwait (\d{1,3})\b", text)
    return min(int(waits[-1]), MAX_WAIT_S) if waits else 0


def tokens(text):
    return len(text) // 4 + 1


class StandIn:
    def __init__(self):
        self._calls = collections.deque(maxlen=MAX_CALLS)
        self._next_seq = 1
        self._keys = collections.OrderedDict()
        self._modes = collections.OrderedDict()
        self._mode_changed = asyncio.Event()

    async def handle(self, request):
        if request.path.startswith("/control/"):
            return self._control(request)
        if request.path == "/v1/models":
            return json_response(200, {"data": [], "has_more": False})
        if request.method != "POST" or request.path not in ("/v1/messages", "/v1/messages/count_tokens"):
            return self._error(404, "not_found_error", "no such page")
        body = request.json()
        text = said_by_the_user(body.get("messages"))
        size = tokens(request.body.decode("utf-8", "replace"))
        if request.path.endswith("count_tokens"):
            return json_response(200, {"input_tokens": size})
        return await self._messages(request, body, text, size)

    async def _messages(self, request, body, text, input_tokens):
        key = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        answer = answer_to(text, int(body.get("max_tokens") or MAX_ANSWER))
        self._record(key, body, text, answer)
        mode = self._modes.get(key, "ok")
        if mode == "hang":
            self._mode_changed.clear()
            await http_server.wait_unless_disconnected(request, self._mode_changed.wait())
            return None
        if not key or mode == "401":
            return self._error(401, ERRORS["401"], "invalid x-api-key")
        if mode in ERRORS:
            return self._error(int(mode), ERRORS[mode], "as the test asked")
        message = {
            "id": f"msg_{self._next_seq:08d}", "type": "message", "role": "assistant",
            "model": str(body.get("model", "")), "content": [], "stop_reason": None, "stop_sequence": None,
            "usage": {"input_tokens": input_tokens, "output_tokens": 1,
                      "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0},
        }
        if body.get("stream"):
            return Response(200, self._events(message, answer, wait_before(text)), "text/event-stream",
                            [("Cache-Control", "no-cache")])
        if not await http_server.wait_unless_disconnected(request, asyncio.sleep(wait_before(text))):
            return None
        message["content"] = [{"type": "text", "text": answer}]
        message["stop_reason"] = "end_turn"
        message["usage"]["output_tokens"] = tokens(answer)
        return json_response(200, message)

    async def _events(self, message, answer, wait_s):
        def event(kind, **fields):
            return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()

        yield event("message_start", message=message)
        # The real API pings while nothing comes; without it a client may take the stream for dead.
        for _ in range(wait_s):
            yield event("ping")
            await asyncio.sleep(1)
        yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        for start in range(0, len(answer), PIECE):
            yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": answer[start:start + PIECE]})
        yield event("content_block_stop", index=0)
        yield event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None},
                    usage={"output_tokens": tokens(answer)})
        yield event("message_stop")

    def _record(self, key, body, text, answer):
        self._calls.append(
            {"seq": self._next_seq, "key": key, "model": str(body.get("model", "")), "stream": bool(body.get("stream")),
             "text": text[-1000:], "answer_chars": len(answer), "at": time.time()})
        self._next_seq += 1
        self._keys[key] = self._keys.get(key, 0) + 1
        while len(self._keys) > MAX_KEYS:
            self._keys.popitem(last=False)

    def _error(self, status, kind, message):
        return json_response(status, {"type": "error", "error": {"type": kind, "message": message}})

    def _control(self, request):
        what = request.path[len("/control/"):]
        wanted = {**request.query, **request.json()}
        if what == "calls":
            after, key = int(wanted.get("after") or 0), wanted.get("key")
            calls = [c for c in self._calls if c["seq"] > after and key in (None, c["key"])]
            return json_response(200, {"calls": calls, "next": self._next_seq - 1})
        if what == "keys":
            return json_response(200, {"keys": self._keys})
        if what == "mode" and wanted.get("mode") in ("ok", "hang", *ERRORS):
            self._modes[str(wanted.get("key", ""))] = wanted["mode"]
            while len(self._modes) > MAX_KEYS:
                self._modes.popitem(last=False)
            self._mode_changed.set()
            return json_response(200, {})
        return self._error(404, "not_found_error", f"no such control call: {what}")


if __name__ == "__main__":
    http_server.main(__doc__, "anthropic", lambda: StandIn().handle)
