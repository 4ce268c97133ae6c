/* The reporter of ours for Node's own test runner; Node 18.19 and later. */
import { resolve } from "node:path";
import events from "./zwarm_ci_events.cjs";

const { log, idOf, described } = events;

/** Node reports a file as a test of its own where it holds none, cannot be loaded or ends in another way than its tests do. */
function isFile(data) {
  return data.nesting === 0 && Boolean(data.file) && resolve(data.name) === data.file;
}

class Run {
  total = 0;
  failed = 0;
  names = [];
  open = new Map(); // by file: how often each test was begun and not ended
  inside = new Set(); // files of which a test was told
  printed = new Map(); // by file: what it wrote to standard error

  id(data) {
    return isFile(data) || !data.file ? idOf(data.file || data.name, []) : idOf(data.file, this.names.slice(0, data.nesting + 1));
  }

  count(data, by) {
    if (isFile(data) || !data.file) return;
    const tests = this.open.get(data.file) || new Map();
    const key = `${data.nesting} ${data.name}`;
    this.open.set(data.file, tests.set(key, Math.max(0, (tests.get(key) || 0) + by)));
  }

  broken(id, error) {
    this.failed += 1;
    log("collect_error", { id, ...described([error]) });
  }

  report(id, outcome, error) {
    this.total += 1;
    this.failed += outcome === "failed";
    log("report", { id, when: "call", outcome, ...(outcome === "failed" ? described([error]) : {}) });
  }

  ended(type, data) {
    const id = this.id(data);
    const given = (data.details && data.details.error) || null;
    const kind = given && given.failureType;
    const cause = given && given.cause && typeof given.cause === "object" ? given.cause : given;
    const red = type === "test:fail" && (data.todo === undefined || data.todo === false);
    if (isFile(data)) this.file(id, data, red, kind, cause);
    else if (data.details && data.details.type === "suite") {
      if (red && kind !== "subtestsFailed") this.broken(id, cause);
      else log("module", { id, skipped: false });
    } else {
      const passed = data.skip === undefined && data.todo === undefined;
      this.report(id, red ? "failed" : passed ? "passed" : "skipped", cause);
    }
    if (!isFile(data) && data.file && !this.inside.has(data.file)) {
      this.inside.add(data.file);
      log("module", { id: idOf(data.file, []), skipped: false });
    }
    return `  ${red ? "✗" : "✓"} ${id}\n` + (red && kind !== "subtestsFailed" ? `${described([cause]).text}\n` : "");
  }

  file(id, data, red, kind, cause) {
    if (!red && !this.inside.has(data.file)) this.report(id, "passed");
    else if (red && kind !== "subtestsFailed") {
      const text = (this.printed.get(data.file) || []).join("").slice(-20000);
      const said = /^(\w*(?:Error|Exception))(?: \[\w+\])?: (.*)$/m.exec(text);
      const name = said ? said[1] : "Error";
      this.broken(id, text ? { name, message: said ? said[2] : cause && cause.message, stack: text } : cause);
    }
  }

  finish() {
    for (const [file, tests] of this.open) {
      const left = [...tests].filter(([, n]) => n > 0).map(([key]) => key.slice(key.indexOf(" ") + 1));
      if (left.length) this.broken(idOf(file, []), new Error(`the process ended before these tests did: ${left.join(", ")}`));
    }
    log("finish", { total: this.total, failed: this.failed, good: !this.failed, unhandled: 0 });
  }
}

export default async function* reporter(source) {
  const run = new Run();
  log("session", { runner: "node" });
  for await (const { type, data } of source) {
    if (type === "test:start" || type === "test:pass" || type === "test:fail") run.names[data.nesting] = data.name;
    if (type === "test:enqueue") run.count(data, 1);
    if (type === "test:dequeue" && isFile(data)) log("start", { id: run.id(data) });
    if (type === "test:complete" && isFile(data)) log("end", { id: run.id(data) });
    if (type === "test:stderr" && data.file) run.printed.set(data.file, [...(run.printed.get(data.file) || []), data.message]);
    if (type === "test:pass" || type === "test:fail") {
      run.count(data, -1);
      yield run.ended(type, data);
    }
  }
  run.finish();
}
