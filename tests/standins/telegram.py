#!/usr/bin/env python3
"""A stand-in for the Telegram Bot API: any number of bots, as strict as the real one where it matters.

  telegram.py [--listen ADDR:PORT]      prints one JSON line with its address

Bots: each token `<id>:<anything>` is a bot of its own, made when it is first used. Spoken:
/bot<token>/<method>, as core.telegram.org/bots/api says; a second getUpdates at the same time is
answered with 409, text above 4,096 characters and an edit that changes nothing with 400.

For tests, under /control/:
  POST push   {token, text, [kind: private|group], [chat_id], [user_id], [mention: true]}
                                       -> {update_id, message_id, chat_id}
  GET  sent   ?token=T[&after=SEQ]     -> {calls: [{seq, method, chat_id, message_id, text, at}], next}
  GET  chat   ?token=T&chat_id=C       -> {messages: [{message_id, text, at}]}: what the person sees now
  GET  bot    ?token=T                 -> counters (pollers now and at most, conflicts, polls by source)
  GET  bots                            -> the counters of all
  POST mode   {token, mode: ok|401|409|hang|500}
  POST forget {token}                  -> starts that bot afresh
  POST polls  {seconds}                -> from now on no getUpdates takes longer; 50 at the start
"""

import asyncio
import collections
import re
import time

import http_server
from http_server import json_response

MAX_BOTS = 5000
MAX_CALLS = 1000
MAX_PENDING = 1000
MAX_MESSAGES = 500
MAX_SOURCES = 64
MAX_TEXT = 4096
MAX_POLL_S = 50
MODES = ("ok", "401", "409", "hang", "500")
TOKEN = re.compile(r"^(\d{1,18}):(.+)$", re.S)
# Of the calls that are recorded in full; the others are only counted.
QUIET_METHODS = ("getupdates", "getme", "sendchataction", "getwebhookinfo")


class Refused(Exception):
    def __init__(self, code, description):
        super().__init__(description)
        self.code = code


class Bot:
    def __init__(self, token, bot_id):
        self.token = token
        self.id = bot_id
        self.username = f"mtp_{bot_id}_bot"
        self.mode = "ok"
        self.mode_changed = asyncio.Event()
        self.updates = collections.deque(maxlen=MAX_PENDING)
        self.arrived = asyncio.Event()
        # Telegram's update ids are not from zero; a client keeps the offset across restarts of ours.
        self.next_update_id = int(time.time())
        self.next_message_id = 1
        self.next_seq = 1
        self.calls = collections.deque(maxlen=MAX_CALLS)
        self.messages = collections.OrderedDict()  # (chat, message id) -> {"text", "at"}
        self.method_counts = collections.Counter()
        self.pollers = 0
        self.pollers_max = 0
        self.conflicts = 0
        self.sources = collections.OrderedDict()  # address -> {"polls", "first", "last"}

    def counters(self):
        return {
            "token_id": self.id,
            "username": self.username,
            "mode": self.mode,
            "pending": len(self.updates),
            "pollers": self.pollers,
            "pollers_max": self.pollers_max,
            "conflicts": self.conflicts,
            "sources": self.sources,
            "methods": self.method_counts,
        }

    def user(self):
        return {"id": self.id, "is_bot": True, "first_name": self.username, "username": self.username}

    def take_message_id(self):
        self.next_message_id += 1
        return self.next_message_id - 1

    def note_source(self, address):
        now = time.time()
        source = self.sources.setdefault(address, {"polls": 0, "first": now})
        source["polls"] += 1
        source["last"] = now
        while len(self.sources) > MAX_SOURCES:
            self.sources.popitem(last=False)

    def record(self, method, chat_id, message_id, text):
        self.calls.append(
            {"seq": self.next_seq, "method": method, "chat_id": chat_id, "message_id": message_id,
             "text": text, "at": time.time()})
        self.next_seq += 1

    def show(self, chat_id, message_id, text):
        self.messages[(str(chat_id), message_id)] = {"text": text, "at": time.time()}
        while len(self.messages) > MAX_MESSAGES:
            self.messages.popitem(last=False)

    def push(self, wanted):
        group = wanted.get("kind", "private") == "group"
        user_id = int(wanted.get("user_id", 42))
        chat_id = int(wanted.get("chat_id", -1000 - user_id if group else user_id))
        text = str(wanted.get("text", ""))
        at = "@" + self.username
        if wanted.get("mention") and at not in text:
            text = f"{at} {text}"
        person = {"id": user_id, "is_bot": False, "first_name": "Pat", "username": f"pat{user_id}", "language_code": "en"}
        chat = ({"id": chat_id, "type": "group", "title": "Test group"} if group
                else {"id": chat_id, "type": "private", "first_name": "Pat", "username": person["username"]})
        # Entity offsets count UTF-16 code units.
        entities = [
            {"type": "mention", "offset": len(text[: found.start()].encode("utf-16-le")) // 2, "length": len(at)}
            for found in re.finditer(re.escape(at), text)]
        message = {"message_id": self.take_message_id(), "from": person, "chat": chat, "date": int(time.time()), "text": text}
        if entities:
            message["entities"] = entities
        update = {"update_id": self.next_update_id, "message": message}
        self.next_update_id += 1
        self.updates.append(update)
        self.arrived.set()
        return {"update_id": update["update_id"], "message_id": message["message_id"], "chat_id": chat_id}


def parameters(request):
    """Of a call: query, JSON, form or multipart, whichever the client used; files are left out."""
    kind = request.headers.get("content-type", "")
    found = dict(request.query)
    if kind.startswith("application/json"):
        found.update(request.json())
    elif kind.startswith("application/x-www-form-urlencoded"):
        found.update(http_server.urllib.parse.parse_qsl(request.body.decode("utf-8", "replace")))
    elif kind.startswith("multipart/form-data"):
        pattern = rb'name="([^"]+)"\r\n(?:[^\r\n]+\r\n)*\r\n(.*?)\r\n--'
        for name, value in re.findall(pattern, request.body[:65536], re.S):
            found[name.decode()] = value[:MAX_TEXT].decode("utf-8", "replace")
    return found


class BotApi:
    """The methods, each `async def (bot, parameters, request) -> result`; the names are lower-case."""

    max_poll_s = MAX_POLL_S

    async def getme(self, bot, _parameters, _request):
        return {**bot.user(), "can_join_groups": True, "can_read_all_group_messages": False,
                "supports_inline_queries": False, "can_connect_to_business": False, "has_main_web_app": False}

    async def getupdates(self, bot, wanted, request):
        bot.note_source(request.peer)
        bot.pollers_max = max(bot.pollers_max, bot.pollers + 1)
        if bot.pollers or bot.mode == "409":
            bot.conflicts += 1
            raise Refused(409, "Conflict: terminated by other getUpdates request; "
                               "make sure that only one bot instance is running")
        bot.pollers += 1
        try:
            return await self._poll(bot, wanted, request)
        finally:
            bot.pollers -= 1

    async def _poll(self, bot, wanted, request):
        offset = int(wanted.get("offset") or 0)
        limit = min(max(int(wanted.get("limit") or 100), 1), 100)
        deadline = time.monotonic() + min(max(int(wanted.get("timeout") or 0), 0), self.max_poll_s)
        if offset < 0:
            offset = bot.updates[max(len(bot.updates) + offset, 0)]["update_id"] if bot.updates else 0
        while bot.updates and bot.updates[0]["update_id"] < offset:
            bot.updates.popleft()
        while not bot.updates and (left := deadline - time.monotonic()) > 0:
            bot.arrived.clear()
            if not await http_server.wait_unless_disconnected(request, bot.arrived.wait(), left):
                return []
        return list(bot.updates)[:limit]

    def _message(self, bot, chat_id, message_id, text):
        kind = "group" if str(chat_id).startswith("-") else "private"
        chat = {"id": int(chat_id), "type": kind, "first_name" if kind == "private" else "title": "Test"}
        return {"message_id": message_id, "from": bot.user(), "chat": chat, "date": int(time.time()), "text": text}

    def _text(self, wanted):
        text = str(wanted.get("text", ""))
        if not text.strip():
            raise Refused(400, "Bad Request: message text is empty")
        # The real limit counts the text that is shown, so markup does not count.
        shown = re.sub(r"<[^>]+>", "", text) if wanted.get("parse_mode") == "HTML" else text
        if len(shown) > MAX_TEXT:
            raise Refused(400, "Bad Request: message is too long")
        return text

    async def sendmessage(self, bot, wanted, _request):
        text = self._text(wanted)
        message_id = bot.take_message_id()
        bot.show(wanted.get("chat_id"), message_id, text)
        bot.record("sendMessage", wanted.get("chat_id"), message_id, text)
        return self._message(bot, wanted.get("chat_id"), message_id, text)

    async def editmessagetext(self, bot, wanted, _request):
        text = self._text(wanted)
        message_id = int(wanted.get("message_id") or 0)
        shown = bot.messages.get((str(wanted.get("chat_id")), message_id))
        if shown is None:
            raise Refused(400, "Bad Request: message to edit not found")
        if shown["text"] == text:
            raise Refused(400, "Bad Request: message is not modified")
        bot.show(wanted.get("chat_id"), message_id, text)
        bot.record("editMessageText", wanted.get("chat_id"), message_id, text)
        return self._message(bot, wanted.get("chat_id"), message_id, text)

    async def deletemessage(self, bot, wanted, _request):
        key = (str(wanted.get("chat_id")), int(wanted.get("message_id") or 0))
        if bot.messages.pop(key, None) is None:
            raise Refused(400, "Bad Request: message to delete not found")
        bot.record("deleteMessage", wanted.get("chat_id"), key[1], "")
        return True

    async def getwebhookinfo(self, bot, _parameters, _request):
        return {"url": "", "has_custom_certificate": False, "pending_update_count": len(bot.updates)}

    async def getchat(self, bot, wanted, _request):
        return self._message(bot, wanted.get("chat_id", 42), 0, "")["chat"]

    async def getchatmember(self, bot, wanted, _request):
        return {"status": "member", "user": {"id": int(wanted.get("user_id") or 42), "is_bot": False, "first_name": "Pat"}}

    async def getmycommands(self, _bot, _parameters, _request):
        return []

    async def getfile(self, _bot, _parameters, _request):
        raise Refused(400, "Bad Request: invalid file_id")

    async def other(self, bot, method, wanted):
        """Methods that a bot may call and that no test looks into: recorded and said yes to."""
        bot.record(method, wanted.get("chat_id"), None, str(wanted.get("text", wanted.get("caption", "")))[:MAX_TEXT])
        if method.lower().startswith("send") and not method.lower().endswith(("draft", "action")):
            return self._message(bot, wanted.get("chat_id", 0), bot.take_message_id(), "")
        return True


class StandIn:
    def __init__(self):
        self._bots = collections.OrderedDict()
        self._api = BotApi()

    def _bot(self, token):
        found = TOKEN.match(token)
        if not found:
            raise Refused(401, "Unauthorized")
        if token not in self._bots:
            self._bots[token] = Bot(token, int(found.group(1)))
            while len(self._bots) > MAX_BOTS:
                self._bots.popitem(last=False)
        self._bots.move_to_end(token)
        return self._bots[token]

    async def handle(self, request):
        try:
            if request.path.startswith("/control/"):
                return json_response(200, self._control(request))
            found = re.match(r"^/bot(.+)/([A-Za-z]+)$", request.path, re.S)
            if not found:
                raise Refused(404, "Not Found")
            return await self._call(self._bot(found.group(1)), found.group(2), request)
        except Refused as refused:
            return json_response(refused.code, {"ok": False, "error_code": refused.code, "description": str(refused)})

    async def _call(self, bot, method, request):
        name = method.lower()
        bot.method_counts[method] += 1
        if bot.mode == "hang":
            bot.mode_changed.clear()
            await http_server.wait_unless_disconnected(request, bot.mode_changed.wait())
            return None
        if bot.mode == "401":
            raise Refused(401, "Unauthorized")
        if bot.mode == "500":
            raise Refused(500, "Internal Server Error")
        wanted = parameters(request)
        if name != "other" and hasattr(BotApi, name) and not name.startswith("_"):
            result = await getattr(self._api, name)(bot, wanted, request)
        elif name in QUIET_METHODS:
            result = True
        else:
            result = await self._api.other(bot, method, wanted)
        return json_response(200, {"ok": True, "result": result})

    def _control(self, request):
        what = request.path[len("/control/"):]
        wanted = {**request.query, **request.json()}
        if what == "polls":
            self._api.max_poll_s = min(max(float(wanted.get("seconds") or 0), 0), MAX_POLL_S)
            return {"seconds": self._api.max_poll_s}
        if what == "bots":
            return {"bots": [bot.counters() for bot in self._bots.values()]}
        bot = self._bot(str(wanted.get("token", "")))
        if what == "push":
            return bot.push(wanted)
        if what == "sent":
            after = int(wanted.get("after") or 0)
            return {"calls": [call for call in bot.calls if call["seq"] > after], "next": bot.next_seq - 1}
        if what == "chat":
            return {"messages": [{"message_id": key[1], **shown} for key, shown in bot.messages.items()
                                 if key[0] == str(wanted.get("chat_id"))]}
        if what == "bot":
            return bot.counters()
        if what == "mode":
            if wanted.get("mode") not in MODES:
                raise Refused(400, f"mode is one of {', '.join(MODES)}")
            bot.mode = wanted["mode"]
            bot.mode_changed.set()
            bot.arrived.set()
            return bot.counters()
        if what == "forget":
            del self._bots[bot.token]
            return {}
        raise Refused(404, f"no such control call: {what}")


if __name__ == "__main__":
    http_server.main(__doc__, "telegram", lambda: StandIn().handle)
