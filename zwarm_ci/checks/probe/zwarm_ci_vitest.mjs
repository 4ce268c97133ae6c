/* Vitest's reporter of ours, for 0.34 (onFinished) to 4 (onTestRunEnd); the two ways never speak in one run. */
import events from "./zwarm_ci_events.cjs";

const { log, idOf, described } = events;
const STATES = { pass: "passed", passed: "passed", fail: "failed", failed: "failed", skip: "skipped", skipped: "skipped", todo: "skipped" };
const CUT = "the test file did not run to its end";

function project(name) {
  return name ? [`[${name}]`] : [];
}

export default class Reporter {
  modern = false;
  ended = new Set();
  counts = { total: 0, failed: 0 };

  report(id, state, errors) {
    this.counts.total += 1;
    this.counts.failed += state === "failed";
    log("report", { id, when: "call", outcome: state, ...(state === "failed" ? described(errors) : {}) });
  }

  broken(id, errors) {
    this.counts.failed += 1;
    log("collect_error", { id, ...described(errors) });
  }

  onInit() {
    log("session", { runner: "vitest" });
  }

  // Vitest 3 and later

  onTestRunStart() {
    this.modern = true;
  }

  onTestModuleStart(module) {
    log("start", { id: this.module(module) });
  }

  onTestCaseReady(test) {
    log("start", { id: this.test(test) });
  }

  onTestCaseResult(test) {
    log("end", { id: this.test(test) });
  }

  module(module) {
    return idOf(module.moduleId, []) + this.suffix(module.project);
  }

  suffix(found) {
    return found && found.name ? ` [${found.name}]` : "";
  }

  names(entity) {
    const names = [];
    for (let at = entity; at && at.type !== "module"; at = at.parent) names.unshift(at.name);
    return names;
  }

  test(entity) {
    const inner = idOf("", this.names(entity));
    return `${this.module(entity.module)}::${inner}`;
  }

  onTestModuleEnd(module) {
    const id = this.module(module);
    this.ended.add(id);
    const errors = [...module.errors()];
    const tests = [...module.children.allTests()];
    if (errors.length) this.broken(id, errors);
    else if (tests.some((test) => !STATES[test.result().state])) this.broken(id, [new Error(CUT)]);
    else log("module", { id, skipped: false });
    for (const suite of module.children.allSuites()) {
      if (suite.errors && suite.errors().length) this.broken(this.test(suite), suite.errors());
      else log("module", { id: this.test(suite), skipped: false });
    }
    for (const test of tests) {
      const result = test.result();
      if (STATES[result.state]) this.report(this.test(test), STATES[result.state], result.errors);
    }
    log("end", { id });
  }

  onTestRunEnd(modules, unhandled, reason) {
    for (const module of modules) {
      const id = this.module(module);
      if (this.ended.has(id) || module.state() === "skipped") continue;
      if ([...module.errors()].length) this.onTestModuleEnd(module); // Vitest 3 has no end for a file that cannot be loaded
      else this.broken(id, [new Error(CUT)]);
    }
    this.finish(unhandled, reason !== "failed" && reason !== "interrupted");
  }

  // Vitest before 3

  onCollected(files) {
    if (!this.modern) for (const file of files || []) log("start", { id: idOf(file.filepath, []) });
  }

  onFinished(files, unhandled) {
    if (this.modern) return;
    for (const file of files || []) this.file(file);
    this.finish(unhandled, true);
  }

  file(file) {
    const suffix = this.suffix({ name: file.projectName });
    const id = idOf(file.filepath, []) + suffix;
    const errors = (file.result && file.result.errors) || [];
    const whole = this.tasks(file, [], id);
    if (errors.length) this.broken(id, errors);
    else if (!whole) this.broken(id, [new Error(CUT)]);
    else log("module", { id, skipped: false });
    log("end", { id });
  }

  /** Tell of all that is in a file or suite. Returns whether all of it came to an end. */
  tasks(parent, names, id) {
    let whole = true;
    for (const task of parent.tasks || []) {
      const inner = [...names, task.name];
      const own = `${id}::${idOf("", inner)}`;
      const result = task.result || {};
      const errors = result.errors || (result.error ? [result.error] : []);
      if (task.type === "suite") {
        if (errors.length) this.broken(own, errors);
        else log("module", { id: own, skipped: false });
        whole = (this.tasks(task, inner, id) || errors.length > 0) && whole; // a failed hook leaves tests without a result
      } else if (STATES[result.state || task.mode]) this.report(own, STATES[result.state || task.mode], errors);
      else whole = false;
    }
    return whole;
  }

  finish(unhandled, good) {
    const errors = [...(unhandled || [])];
    const said = errors.length ? described(errors) : {};
    log("finish", { ...this.counts, unhandled: errors.length, good: good && !errors.length && !this.counts.failed, ...said });
  }
}
