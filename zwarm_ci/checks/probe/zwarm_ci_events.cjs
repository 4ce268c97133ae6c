/*
 * What the reporters of this folder share: events as JSON lines, in the form of the pytest plugin's (checks/events.py reads both).
 */
"use strict";

const fs = require("fs");
const path = require("path");

const append = fs.appendFileSync;
const told = JSON.parse(fs.readFileSync(process.env.ZWARM_CI_NODE, "utf8"));
const file = path.join(told.out, "events.jsonl");
const TEXT = 60000; // characters of one failure
const NAME = 4000;

/** Without colours and control characters, bounded. */
function clean(text, most) {
  // eslint-disable-next-line no-control-regex
  return String(text === undefined || text === null ? "" : text).replace(/\x1b\[[0-9;?]*[A-Za-z]/g, "").replace(/[\x00-\x08\x0b-\x1f\x7f]/g, "").slice(0, most || TEXT);
}

function log(event, more) {
  append.call(fs, file, JSON.stringify(Object.assign({ event, pid: process.pid, at: Date.now() / 1000 }, more)) + "\n");
}

/** The id of a test file, a suite or a test: `path/from/the/top::suite > test`. */
function idOf(where, names) {
  let name = where ? path.relative(told.tree, fs.realpathSync.native ? real(where) : where).split(path.sep).join("/") : "";
  if (name.startsWith("../")) name = String(where);
  const inner = (names || []).map((part) => clean(part, NAME).replace(/\s+/g, " ").trim() || "(nameless)").join(" > ");
  return clean(inner ? (name ? name + "::" + inner : inner) : name, NAME);
}

function real(where) {
  try {
    return fs.realpathSync.native(where);
  } catch (error) {
    return where;
  }
}

/** What the errors of one test say, and the type of the first. */
function described(errors) {
  const all = (errors || []).filter(Boolean);
  const texts = all.map((error) => {
    if (typeof error !== "object") return String(error);
    const head = error.name && error.message !== undefined ? error.name + ": " + error.message : String(error.message || error);
    const stack = String(error.stack || "");
    const body = stack.includes(String(error.message || "").split("\n")[0]) ? stack : head + "\n" + stack;
    return [body, error.diff ? String(error.diff) : "", error.cause ? "caused by " + described([error.cause]).text : ""].filter(Boolean).join("\n");
  });
  const first = all[0];
  const message = first && typeof first === "object" ? first.message : first;
  const type = (first && typeof first === "object" && first.name) || "Error";
  return { text: clean(texts.join("\n\n")), exc: { type: clean(type, 200), message: clean(message, 2000) } };
}

module.exports = { clean, log, idOf, described, told };
