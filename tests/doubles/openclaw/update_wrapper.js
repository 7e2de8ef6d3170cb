// The real OpenClaw with a flaw, for tests of updates: the command of a derived image
// (update_images.sh), run as `node -e <this text> KIND`. Without a flaw that shows at once, it runs
// `openclaw gateway` as the image itself does.
const { spawn } = require("node:child_process");
const { existsSync } = require("node:fs");
const http = require("node:http");

const kind = process.argv[1];
const home = "/home/node";
const port = 18789;
const botApiPort = 28790;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function die(words) {
  console.error(`fault ${kind}: ${words}`);
  process.exit(1);
}

function run(environment = {}) {
  const child = spawn("openclaw", ["gateway", "--bind", "lan", "--port", `${port}`], {
    stdio: "inherit",
    env: { ...process.env, ...environment },
  });
  for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
  return child;
}

async function ready() {
  while (true) {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => null);
    if (answer?.status === 200) return;
    await sleep(1000);
  }
}

// Another poller takes the bot away: between OpenClaw and the Bot API stands a server that passes all calls on, until it
// answers each getUpdates, also the one that waits, as Telegram does when somebody else polls.
function takableBotApi() {
  const root = new URL(process.env.TELEGRAM_API_ROOT || "https://api.telegram.org");
  const { request } = require(root.protocol === "https:" ? "node:https" : "node:http");
  const waiting = new Map();
  let taken = false;
  const conflict = (answer) => {
    answer.writeHead(409, { "content-type": "application/json" });
    answer.end('{"ok":false,"error_code":409,"description":"Conflict: terminated by other getUpdates request"}');
  };
  http
    .createServer((call, answer) => {
      const polls = /\/getUpdates\b/i.test(call.url);
      if (polls && taken) return conflict(answer);
      const headers = { ...call.headers, host: root.host };
      const passed = request(new URL(call.url, root), { method: call.method, headers }, (got) => {
        waiting.delete(passed);
        answer.writeHead(got.statusCode, got.headers);
        got.pipe(answer);
      });
      if (polls) waiting.set(passed, answer);
      passed.on("error", () => {
        waiting.delete(passed);
        if (!answer.writableEnded) answer.destroy();
      });
      answer.on("close", () => passed.destroy());
      call.pipe(passed);
    })
    .listen(botApiPort, "127.0.0.1");
  return () => {
    taken = true;
    for (const [passed, answer] of waiting) {
      waiting.delete(passed);
      conflict(answer);
      passed.destroy();
    }
  };
}

const faults = {
  "never-ready": () => {
    http
      .createServer((request, response) => {
        const live = request.url === "/healthz";
        response.writeHead(live ? 200 : 503, { "content-type": "application/json" });
        response.end(live ? "{}" : '{"ready":false,"failing":["startup-sidecars"]}');
      })
      .listen(port);
    process.on("SIGTERM", () => process.exit(0));
  },
  migrates: () => {
    const { DatabaseSync } = require("node:sqlite");
    const db = new DatabaseSync(`${home}/.openclaw/state/openclaw.sqlite`);
    const { user_version: version } = db.prepare("PRAGMA user_version").get();
    db.exec(`CREATE TABLE IF NOT EXISTS migrated(at INTEGER); PRAGMA user_version = ${version + 1000}`);
    db.close();
    die("the state is migrated, and this is the end");
  },
  "no-channel": async () => {
    const takeTheBot = takableBotApi();
    run({ TELEGRAM_API_ROOT: `http://127.0.0.1:${botApiPort}` });
    await ready();
    await sleep(5000);
    console.error(`fault ${kind}: takes the bot`);
    takeTheBot();
  },
  "dies-in-soak": async () => {
    const child = run();
    await ready();
    await sleep(8000);
    child.kill("SIGKILL");
    die("ends after it was ready");
  },
  "one-client": () => {
    if (existsSync(`${home}/workspace/fails-here`)) die("cannot work with this state");
    run();
  },
};

(faults[kind] ?? run)();
