/* Jest's reporter of ours; Jest 24 and later. */
"use strict";

const { log, idOf, described, clean } = require("./zwarm_ci_events.cjs");

const STATES = { passed: "passed", failed: "failed", focused: "passed" };

/** "TypeError" of "TypeError: x is no function"; Jest hands texts on, not errors. */
function told(messages) {
  const text = clean(messages.join("\n\n"));
  const lines = text.split("\n").map((line) => line.trim());
  const first = lines.find((line) => line && !line.startsWith("● ")) || "";
  const found = /^([A-Z]\w*(?:Error|Exception))(?: \[\w+\])?: (.*)$/.exec(first);
  return { text, exc: { type: found ? found[1] : "Error", message: found ? found[2] : first.replace(/^Error: /, "") } };
}

class Reporter {
  constructor() {
    this.total = 0;
    this.failed = 0;
  }

  onRunStart() {
    log("session", { runner: "jest" });
  }

  file(test) {
    const name = test.context && test.context.config && test.context.config.displayName;
    const label = name && typeof name === "object" ? name.name : name;
    return idOf(test.path, []) + (label ? " [" + clean(label, 100) + "]" : "");
  }

  onTestStart(test) {
    log("start", { id: this.file(test) });
  }

  onTestFileStart(test) {
    this.onTestStart(test);
  }

  inner(test, result) {
    return this.file(test) + "::" + idOf("", (result.ancestorTitles || []).concat(result.title));
  }

  onTestCaseStart(test, info) {
    log("start", { id: this.inner(test, info) });
  }

  onTestCaseResult(test, result) {
    log("end", { id: this.inner(test, result) });
  }

  onTestFileResult(test, result) {
    this.onTestResult(test, result);
  }

  onTestResult(test, result) {
    const id = this.file(test);
    if (this.told && this.told.has(id)) return;
    this.told = (this.told || new Set()).add(id);
    const tests = result.testResults || [];
    const broken = result.testExecError || (result.failureMessage && !tests.some((one) => one.status === "failed"));
    if (broken) {
      this.failed += 1;
      log("collect_error", Object.assign({ id }, told([result.failureMessage || described([result.testExecError]).text])));
    } else log("module", { id, skipped: false });
    for (const one of tests) {
      const outcome = STATES[one.status] || "skipped";
      this.total += 1;
      this.failed += outcome === "failed";
      const said = outcome === "failed" ? told(one.failureMessages || []) : {};
      log("report", Object.assign({ id: this.inner(test, one), when: "call", outcome }, said));
    }
    log("end", { id });
  }

  onRunComplete(contexts, results) {
    const error = results.runExecError ? described([results.runExecError]) : {};
    const theirs = results.numFailedTests + results.numRuntimeErrorTestSuites;
    const more = { total: this.total, failed: this.failed, unhandled: results.runExecError ? 1 : 0 };
    const agree = results.numTotalTests === this.total && (theirs > 0) === (this.failed > 0);
    log("finish", Object.assign(more, { good: agree && !this.failed && !results.runExecError, agree }, error));
  }
}

module.exports = Reporter;
