/* Stands last in a copy of a test file (`verify/copies_script.py`): runs a test with its own and with other inputs, and
   tells what was looked at in the form of `zwarm_ci_varied.py`. */
async function zwarm_ci_nonce(made, self, args, held, rows) {
  const told = [];
  const other = zwarm_ci_nonce_other;
  for (const how of [-1, 0, 1, 2, 3, 4, 5, 6, 7, -1]) {
    zwarm_ci_nonce.how = how;
    const seen = (zwarm_ci_nonce.seen = []);
    let timer;
    try {
      const late = new Promise((end) => { timer = setTimeout(end, 1000); });
      const run = made(...held.map((value) => other(value)));
      await Promise.race([run.apply(self, rows ? args.map((value) => other(value)) : args), late]);
    } catch {
      // What a test looked at until then is noted.
    }
    clearTimeout(timer);
    told.push(new Map(await Promise.all(seen)));
  }
  zwarm_ci_nonce.seen = [];
  const [own, again, others] = [told[0], told[told.length - 1], told.slice(1, -1)];
  const mark = zwarm_ci_nonce_said([held, rows ? args : []], 0);
  const lines = [];
  for (const [label, answer] of own) {
    const steady = again.get(label) === answer;
    const given = others.map((other) => (steady && other.get(label)) || "------").join("");
    const key = zwarm_ci_nonce_digest(label + mark, 8);
    if (lines.length < 90) lines.push(`zwarm_ci_nonce:${String(lines.length).padStart(2, "0")}:${key}${answer}-s${answer}${answer}${given}`);
  }
  throw new Error(lines.join("\n"));
}

/* Another value of the same kind, one of eight; the value itself where it is an edge that honest code may ask for by name. */
function zwarm_ci_nonce_other(value, depth = 0) {
  const how = zwarm_ci_nonce.how;
  if (how < 0 || !value || depth > 4) return value;
  if (typeof value === "string") return zwarm_ci_nonce_text(value, how);
  if (Number.isInteger(value)) return [value + 1, value - 1, value * 2 + 1, value + 10, value + 7, value * 3, value + 2, value * 2][how];
  if (typeof value === "number") return [value + 1, value / 2, value * 2 + 0.5, value + 10.25, value * 1.25, value * 3, value - 0.5, value * 7][how];
  if (Array.isArray(value)) return value.map((item) => zwarm_ci_nonce_other(item, depth + 1));
  if (typeof value !== "object" || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, zwarm_ci_nonce_other(item, depth + 1)]));
}

function zwarm_ci_nonce_text(text, how) {
  const signs = [...text];
  const turned = (step) => text.replace(/[a-z]/gi, (c) => {
    const first = c < "a" ? 65 : 97;
    return String.fromCharCode(((c.charCodeAt(0) - first + step) % 26) + first);
  });
  const digits = (given) => given.replace(/[0-9]/g, (c) => String(((Number(c) + 1) % 9) + 1));
  const made = [
    turned(1), digits(text), text + text, text + signs[signs.length - 1], [...signs].reverse().join(""), digits(turned(7)),
    signs[0] + text, signs.slice(1).join("") + signs[0],
  ][how];
  if (made !== text) return made;
  return turned(how + 2) !== text ? turned(how + 2) : text.repeat((how % 3) + 2); // it has no digits, or reads the same from behind
}

function zwarm_ci_nonce_saw(label, look) {
  const seen = zwarm_ci_nonce.seen;
  const raised = (error) => "xe" + zwarm_ci_nonce_digest(`${error && error.name}: ${error && error.message}`, 4);
  const key = `${label} ${seen.length}`;
  let value;
  try {
    value = look();
    if (typeof value === "function") value = value();
  } catch (error) {
    return seen.push([key, raised(error)]);
  }
  if (!value || typeof value.then !== "function") return seen.push([key, zwarm_ci_nonce_answer(value)]);
  const ended = Promise.resolve(value).then((v) => [key, zwarm_ci_nonce_answer(v)], (e) => [key, raised(e)]);
  seen.push(ended);
  return ended;
}

function zwarm_ci_nonce_answer(value) {
  if (value && typeof value.next === "function") return "?-----";
  try {
    const kind = Array.isArray(value) ? "a" : value === null ? "l" : (typeof value)[0];
    return "v" + kind + zwarm_ci_nonce_digest(zwarm_ci_nonce_said(value, 0), 4);
  } catch {
    return "?-----";
  }
}

function zwarm_ci_nonce_said(value, depth) {
  if (typeof value === "string") return JSON.stringify(value);
  if (value === null || (typeof value !== "object" && typeof value !== "function")) return Object.is(value, -0) ? "-0" : String(value);
  if (depth > 5 || typeof value === "function") return typeof value;
  const inner = (item) => zwarm_ci_nonce_said(item, depth + 1);
  if (value instanceof Date) return `Date(${value.getTime()})`;
  if (value instanceof RegExp) return String(value);
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  const name = (value.constructor && value.constructor.name) || "";
  if (value instanceof Map || value instanceof Set || ArrayBuffer.isView(value)) return `${name}(${Array.from(value, inner)})`;
  if (Array.isArray(value)) return `[${Array.from(value, inner)}]`;
  return `${name}{${Object.keys(value).map((key) => `${key}:${inner(value[key])}`)}}`;
}

function zwarm_ci_nonce_digest(text, length) {
  let [a, b] = [0x811c9dc5, 0x1505];
  for (let at = 0; at < text.length; at += 1) {
    a = Math.imul(a ^ text.charCodeAt(at), 0x01000193);
    b = Math.imul(b, 33) ^ text.charCodeAt(at);
  }
  const whole = (a >>> 0).toString(36).padStart(7, "0") + (b >>> 0).toString(36).padStart(7, "0");
  return (whole.slice(3, 7) + whole.slice(10)).slice(0, length).padEnd(length, "0");
}
