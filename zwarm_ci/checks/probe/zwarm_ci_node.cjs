/*
 * Loaded by NODE_OPTIONS=--require into every node process of a check: Node 10 or newer, no package but Node's own.
 *
 * It writes down each source file that is read from the original checkout instead of the worktree, and gives a test runner
 * that it knows the reporter of ours that belongs to it. What cannot be watched is said, never guessed.
 */
"use strict";

const fs = require("fs");
const path = require("path");
const url = require("url");

const SOURCE = /\.(?:[cm]?[jt]sx?|vue|svelte|astro|coffee)$/;
const RUNNERS = [
  ["vitest", /\/vitest\/(?:vitest\.mjs|dist\/cli\.js)$/],
  ["jest", /\/(?:jest|jest-cli)\/bin\/jest(?:\.js)?$|\/react-scripts\/scripts\/test\.js$/],
  ["mocha", /\/mocha\/(?:bin\/_?mocha(?:\.js)?|bin\/mocha\.mjs|lib\/cli\/cli\.js)$/],
];

/* Node's own functions, kept before anything is replaced, here or by a test. */
const own = { append: fs.appendFileSync, exists: fs.existsSync, realpath: fs.realpathSync, read: fs.readFileSync };

function orders() {
  try {
    return JSON.parse(own.read.call(fs, process.env.ZWARM_CI_NODE || "", "utf8"));
  } catch (error) {
    return null;
  }
}

const told = orders();

function say(file, event) {
  own.append.call(fs, path.join(told.out, file), JSON.stringify(event) + "\n");
}

function inside(file, folder) {
  return file.startsWith(folder + path.sep);
}

/** The name of a file that was read, as an absolute path; "" for a descriptor and the like. */
function named(file) {
  if (typeof file === "string") return file.startsWith("file:") ? url.fileURLToPath(file) : path.resolve(file);
  if (file instanceof url.URL && file.protocol === "file:") return url.fileURLToPath(file);
  return Buffer.isBuffer(file) ? path.resolve(file.toString()) : "";
}

const folders = new Map();

/** Where a folder really is; links are followed once a folder, and only where a package manager makes links. */
function real(file) {
  if (!file.includes(path.sep + "node_modules" + path.sep)) return file;
  const folder = path.dirname(file);
  if (!folders.has(folder)) {
    let found = folder;
    try {
      found = own.realpath.call(fs, folder);
    } catch (error) {
      found = folder;
    }
    folders.set(folder, found);
  }
  return path.join(folders.get(folder), path.basename(file));
}

const seen = new Set();

function look(file) {
  try {
    const name = named(file).split("?")[0];
    if (!name || seen.has(name) || !SOURCE.test(name)) return;
    seen.add(name);
    const found = real(name);
    if (!inside(found, told.top) || inside(found, told.tree)) return;
    const rest = path.relative(told.top, found);
    if (!rest.split(path.sep).includes("node_modules") && own.exists.call(fs, found)) say("foreign.jsonl", { file: rest });
  } catch (error) {
    say("trouble.jsonl", { text: String(error && error.message) });
  }
}

function watching(holder, name) {
  const before = holder && holder[name];
  if (typeof before !== "function") return;
  const after = function (file) {
    look(file);
    return before.apply(this, arguments);
  };
  Object.defineProperties(after, Object.getOwnPropertyDescriptors(before)); // promisify's symbols, the length
  holder[name] = after;
}

function watch() {
  for (const name of ["readFileSync", "readFile", "openSync", "open", "createReadStream"]) watching(fs, name);
  if (parseInt(process.versions.node, 10) > 10) for (const name of ["readFile", "open"]) watching(fs.promises, name);
}

const OURS = "--require=" + (/[\s"\\]/.test(__filename) ? JSON.stringify(__filename) : __filename);

function lacks(options) {
  return !options.includes("zwarm_ci_node.cjs");
}

/** A process that is started with a NODE_OPTIONS of its own keeps ours: cross-env, and a script that sets it in its shell. */
function follow() {
  const prototype = require("child_process").ChildProcess.prototype;
  const before = prototype.spawn;
  prototype.spawn = function (options) {
    const pairs = (options && options.envPairs) || [];
    const at = pairs.findIndex((pair) => pair.startsWith("NODE_OPTIONS="));
    if (at >= 0 && lacks(pairs[at])) pairs[at] = "NODE_OPTIONS=" + OURS + " " + pairs[at].slice("NODE_OPTIONS=".length);
    const args = options && options.args;
    if (Array.isArray(args) && args.length === 3 && args[1] === "-c" && lacks(args[2]))
      args[2] = args[2].replace(/(^|[\s;&|(])NODE_OPTIONS=/g, (whole) => whole + "'" + OURS + " '");
    return before.apply(this, arguments);
  };
}

/** `args` without some flags; those in `valued` take the next word along where they have no "=". */
function without(args, valued, plain) {
  const kept = [];
  for (let i = 0; i < args.length; i++) {
    if (valued.includes(args[i])) i++;
    else if (!plain.includes(args[i]) && !valued.some((name) => args[i].startsWith(name + "="))) kept.push(args[i]);
  }
  return kept;
}

function runner() {
  const main = process.argv[1] || "";
  let file = main;
  try {
    file = own.realpath.call(fs, main);
  } catch (error) {
    file = main;
  }
  const posix = file.split(path.sep).join("/");
  const found = RUNNERS.find((entry) => entry[1].test(posix));
  return found ? found[0] : "";
}

/** Add our arguments to those of a runner's main process, once: what it starts itself inherits the mark. */
function take(name) {
  const given = told.args[name];
  if (!given || process.env.ZWARM_CI_NODE_TAKEN) return;
  process.env.ZWARM_CI_NODE_TAKEN = String(process.pid);
  const rest = process.argv.slice(2);
  const clean = without(rest, given.valued, given.plain);
  const end = clean.indexOf("--");
  const [head, tail] = end < 0 ? [clean, []] : [clean.slice(0, end), clean.slice(end)];
  process.argv.splice(2, rest.length, ...head, ...given.add, ...tail);
  say("events.jsonl", { event: "loaded", pid: process.pid, at: Date.now() / 1000, runner: name, node: process.version });
}

function isMain() {
  try {
    return require("worker_threads").isMainThread;
  } catch (error) {
    return true;
  }
}

/** A file of `node --test` that ends its process has no result, and Node calls it green: say that it did. */
function exits() {
  const before = process.exit;
  process.exit = function () {
    if ((process.moduleLoadList || []).some((name) => /internal\/test_runner\/(?:test|harness)$/.test(name)))
      say("events.jsonl", { event: "cut", pid: process.pid, at: Date.now() / 1000, id: relative(process.argv[1]) });
    return before.apply(this, arguments);
  };
}

function relative(file) {
  return path.relative(told.tree, path.resolve(file || "")).split(path.sep).join("/");
}

if (told) {
  watch();
  follow();
  if (process.env.NODE_TEST_CONTEXT) exits();
  if (isMain()) take(runner());
}
