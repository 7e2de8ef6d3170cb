// The real OpenClaw with a flaw, for tests of updates: the command of a derived image
// (update_images.sh), run as `node -e <this text> KIND`. Without a flaw that shows at once, it runs
// `openclaw gateway` as the image itself does.
const { spawn } = require("node:child_process");
const { existsSync } = require("node:fs");
const http = require("node:http");

const kind = process.argv[1];
const home = "/home/node";
const port = 18789;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function die(words) {
  console.error(`fault ${kind}: ${words}`);
  process.exit(1);
}

function run() {
  const child = spawn("openclaw", ["gateway", "--bind", "lan", "--port", `${port}`], {
    stdio: "inherit",
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

// Another poller takes the bot away, in the moment between two polls of OpenClaw: some of them ask without a rest, and
// each time one of them is the next. Updates are not confirmed, so none is lost.
async function takeTheBot() {
  const root = process.env.TELEGRAM_API_ROOT || "https://api.telegram.org";
  const url = `${root}/bot${process.env.TELEGRAM_BOT_TOKEN}/getUpdates?timeout=30`;
  while (true) {
    const answer = await fetch(url).catch(() => null);
    if (answer?.status !== 200) await sleep(answer ? 5 : 2000);
  }
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
    run();
    await ready();
    await sleep(5000);
    console.error(`fault ${kind}: takes the bot`);
    for (let i = 0; i < 4; ++i) takeTheBot();
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
