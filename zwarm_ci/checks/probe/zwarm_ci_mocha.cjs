/* Mocha's reporter of ours; it prints a line a test, as its own would be lost. */
"use strict";

const { log, idOf, described } = require("./zwarm_ci_events.cjs");

/** The titles from the outermost suite to a test or hook. */
function titles(item) {
  const found = [];
  for (let at = item; at && !at.root; at = at.parent) found.unshift(at.title);
  return found;
}

function fileOf(item) {
  for (let at = item; at; at = at.parent) if (at.file) return at.file;
  return "";
}

/** `"before each" hook: name for "test"` is the hook of a suite, whatever test it was run for. */
function hookId(hook) {
  const kind = /^"([^"]+)" hook/.exec(hook.title);
  const file = fileOf(hook) || fileOf(hook.ctx && hook.ctx.currentTest);
  return idOf(file, titles(hook.parent).concat("(" + (kind ? kind[1] : "hook") + ")"));
}

function idOfTest(test) {
  return idOf(fileOf(test), titles(test));
}

module.exports = function Reporter(runner) {
  const counts = { total: 0, failed: 0 };
  const files = new Set();
  const print = (mark, id) => process.stdout.write("  " + mark + " " + id + "\n");

  function module(item) {
    const id = idOf(fileOf(item), []);
    if (id && !files.has(id)) log("module", { id, skipped: false });
    files.add(id);
  }

  function report(test, outcome, error) {
    const id = idOfTest(test);
    counts.total += 1;
    counts.failed += outcome === "failed";
    log("report", Object.assign({ id, when: "call", outcome }, error ? described([error]) : {}));
    log("end", { id });
    print(outcome === "passed" ? "✓" : outcome === "failed" ? "✗" : "-", id);
  }

  log("session", { runner: "mocha" });
  runner.on("test", (test) => {
    module(test);
    log("start", { id: idOfTest(test) });
  });
  runner.on("hook", (hook) => log("start", { id: hookId(hook) }));
  runner.on("hook end", (hook) => {
    log("module", { id: hookId(hook), skipped: false });
    log("end", { id: hookId(hook) });
  });
  runner.on("pass", (test) => report(test, "passed"));
  runner.on("pending", (test) => report(test, "skipped"));
  runner.on("fail", (item, error) => {
    if (item.type !== "hook") return report(item, "failed", error);
    const id = hookId(item);
    counts.failed += 1;
    log("collect_error", Object.assign({ id }, described([error])));
    log("end", { id });
    print("✗", id);
    process.stdout.write(described([error]).text + "\n");
  });
  runner.on("end", () => log("finish", Object.assign({ good: !counts.failed, unhandled: 0 }, counts)));
};
