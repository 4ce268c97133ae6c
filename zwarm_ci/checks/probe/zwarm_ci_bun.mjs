/* Loaded before bun's tests: after them it writes down which sources came from the original checkout instead of the worktree. */
import fs from "node:fs";
import path from "node:path";

const append = fs.appendFileSync;
const told = JSON.parse(fs.readFileSync(process.env.ZWARM_CI_NODE, "utf8"));

function look() {
  for (const file of Object.keys(require.cache)) {
    if (!file.startsWith(told.top + path.sep) || file.startsWith(told.tree + path.sep)) continue;
    const rest = path.relative(told.top, file);
    if (!rest.split(path.sep).includes("node_modules")) append(path.join(told.out, "foreign.jsonl"), JSON.stringify({ file: rest }) + "\n");
  }
}

try {
  const { afterAll } = await import("bun:test");
  afterAll(look);
} catch {
  process.on("exit", look); // a process that a test starts
}
