// What runs inside V8 before any rule does. `ses` hardens the isolate; every script then lives in
// a compartment of its own, whose globals are frozen: no clock, no chance, no state between inputs.
// The worker calls prepare() once per set of scripts and decide() once per batch of inputs; both
// take and give one JSON text, since crossing the border costs more than evaluating.
import "ses";

const clock = Date.now; // lockdown takes it away from everybody else
const compileBody = Function; // compiles, never runs: the probe for syntax
const { parse, stringify } = JSON;
const { freeze, getPrototypeOf, isFrozen, keys, prototype: objectPrototype, setPrototypeOf, values } = Object;
const { isArray } = Array;
const describeTag = Function.prototype.call.bind(objectPrototype.toString);
const isWellFormed = Function.prototype.call.bind(String.prototype.isWellFormed);
const toWellFormed = Function.prototype.call.bind(String.prototype.toWellFormed);

const SCRIPT = "kolibri-script"; // the file name of a script in a stack trace
const CACHED_SCRIPTS = 2000;
const SLOW = 2; // milliseconds; the clock ticks once per millisecond, so one tick proves nothing
const LIMITS = freeze({ depth: 100, nodes: 100_000, text: 5_000_000 });

lockdown({
  consoleTaming: "unsafe", // the isolate's console goes nowhere
  errorTrapping: "none",
  unhandledRejectionTrapping: "none",
  reporting: "none",
  stackFiltering: "verbose", // getStackString() must show the script's own frames
});

// --- source text -----------------------------------------------------------------------------

// ses refuses these texts even inside a string. The second spelling means the same inside string,
// template and regular expression literals, and is a syntax error everywhere else.
const RESERVED = [
  { pattern: /<!--/g, escaped: "<!-\\x2d", plain: "<!--", what: "an HTML comment (<!--)" },
  { pattern: /-->/g, escaped: "--\\x3e", plain: "-->", what: "an HTML comment (-->)" },
  { pattern: /\bimport(?=\s*(?:\(|\/[/*]))/g, escaped: "i\\x6dport", plain: "import", what: "import()" },
];

function escapeReserved(source) {
  return RESERVED.reduce((text, { pattern, escaped }) => text.replace(pattern, () => escaped), source);
}

function restoreReserved(source) {
  return RESERVED.reduce((text, { escaped, plain }) => text.replaceAll(escaped, plain), source);
}

// Text that is valid between round brackets and between square ones is an expression (or several
// with commas): whatever closed the one bracket early would not fit the other.
const probes = (source) => [`(\n${source}\n)`, `[\n${source}\n]`];

function failingProbe(source) {
  for (const text of probes(source)) {
    try {
      compileBody(`"use strict";${text}`);
    } catch (error) {
      return { text, message: `${error}` };
    }
  }
  return null;
}

// null, or what is wrong; `probe` is the text whose place of error the worker asks V8 for.
function findFault(source) {
  if (source.trim() === "") return { message: "SyntaxError: there is no expression" };
  const failing = failingProbe(source);
  if (failing !== null) return { message: toWellFormed(failing.message), probe: failing.text };
  for (const { pattern, escaped, what } of RESERVED) {
    if (failingProbe(source.replace(pattern, () => escaped)) === null) continue;
    const before = source.slice(0, source.search(pattern)).split("\n");
    const place = { line: before.length, column: before.at(-1).length + 1 };
    return { message: `SyntaxError: ${what} is not to be had in an expression`, ...place };
  }
  return null;
}

// --- scripts ---------------------------------------------------------------------------------

// Without it ses reads a name that nobody has defined as undefined, and `!mesage` would be true.
// Behind the globals it finds every name, and says that there is no such thing.
const unknownNames = new Proxy(freeze({ __proto__: null }), {
  has: (_, name) => typeof name === "string",
  get(_, name) {
    if (name in objectPrototype || typeof name === "symbol") return objectPrototype[name];
    throw new ReferenceError(`${name} is not defined`);
  },
  set(_, name) {
    throw new ReferenceError(`${name.toString()} is not defined`);
  },
});

class Program {
  #source;
  #compartment;
  #compiled = new Map(); // by the names that the script sees

  constructor(source) {
    this.fault = findFault(source);
    if (this.fault !== null) return;
    this.#source = escapeReserved(source);
    this.#compartment = new Compartment();
    setPrototypeOf(this.#compartment.globalThis, unknownNames);
    harden(this.#compartment.globalThis);
  }

  for(names) {
    const signature = names.join();
    let run = this.#compiled.get(signature);
    if (run === undefined) {
      // A function, not an arrow: its `arguments` and `this` are those of one call.
      const text = `(function (${signature}) { return (\n${this.#source}\n); })\n//# sourceURL=${SCRIPT}`;
      run = this.#compartment.evaluate(text, { __rejectSomeDirectEvalExpressions__: false });
      this.#compiled.set(signature, run);
    }
    return run;
  }

  // V8 tells no place for a name that it has looked for among the globals.
  #find(name) {
    if (name === undefined) return {};
    const pattern = `(?<![.\\w$'"\`])${name.replaceAll("$", "\\$")}(?![\\w$])`;
    const at = this.#source.search(new RegExp(pattern));
    if (at < 0) return {};
    const before = this.#source.slice(0, at).split("\n");
    return { line: before.length, column: before.at(-1).length + 1 };
  }

  // Where in the script an error arose: the topmost of its own frames.
  place(error) {
    const frame = /kolibri-script:(\d+):(\d+)/.exec(getStackString(error));
    if (frame === null) return {};
    const line = Number(frame[1]) - 1;
    if (line === 0) return this.#find(/^(\S+) is not defined$/.exec(error.message)?.[1]);
    const text = this.#source.split(/\r\n|[\n\r\u2028\u2029]/)[line - 1] ?? "";
    return { line, column: restoreReserved(text.slice(0, Number(frame[2]) - 1)).length + 1 };
  }
}

const programs = new Map(); // by id and source
let current = []; // what the next batch is decided by

function prepare(request) {
  if (programs.size > CACHED_SCRIPTS) programs.clear();
  current = parse(request).map(({ id, source, expects }) => {
    const key = `${id}\n${source}`;
    let program = programs.get(key);
    if (program === undefined) programs.set(key, (program = new Program(source)));
    return { program, judge: JUDGES[expects] };
  });
  return stringify(current.map(({ program }) => program.fault));
}

// --- results ---------------------------------------------------------------------------------

const NAMES = { bigint: "a BigInt", function: "a function", symbol: "a Symbol" };

function describe(value) {
  if (value === null || value === undefined || typeof value === "number") return `${value}`;
  if (typeof value === "string") return `the text ${stringify(toWellFormed(value.slice(0, 40)))}`;
  if (typeof value === "boolean") return `${value}`;
  if (typeof value !== "object") return NAMES[typeof value];
  const kind = describeTag(value).slice(8, -1);
  return `${/^[AEIO]/.test(kind) ? "an" : "a"} ${kind}`;
}

const HINTS = { "a Promise": ": an async function is no condition", "a Date": "; write .toISOString()" };

class Refused {
  constructor(error) {
    this.error = error;
  }
}

function judgeBoolean(result) {
  if (result === true || result === false) return result;
  const found = describe(result);
  const hint = found === "a Promise" ? HINTS[found] : "";
  throw new Refused(`gave ${found}, not true or false${hint}`);
}

// A copy made of plain JSON data, or a refusal that says what came back.
function plainCopy(value, room, depth) {
  if (value === undefined || value === null || value === true || value === false) return value ?? null;
  if (typeof value === "number" && value - value === 0) return value;
  if ((room.nodes -= 1) < 0) throw new Refused(`gave more than ${LIMITS.nodes} values`);
  if (typeof value === "string") {
    if ((room.text -= value.length) < 0) throw new Refused(`gave more than ${LIMITS.text} characters`);
    if (isWellFormed(value)) return value;
    throw new Refused("gave text with half of a surrogate pair, such as an emoji cut in two");
  }
  if (depth > LIMITS.depth) {
    throw new Refused(`gave data more than ${LIMITS.depth} levels deep, or in a circle`);
  }
  if (isArray(value)) {
    if (value.length > room.nodes) throw new Refused(`gave more than ${LIMITS.nodes} values`);
    const copy = [];
    for (let i = 0; i < value.length; i += 1) copy[i] = plainCopy(value[i], room, depth + 1);
    return copy;
  }
  if (typeof value === "object" && [objectPrototype, null].includes(getPrototypeOf(value))) {
    const copy = { __proto__: null };
    for (const name of keys(value)) {
      copy[plainCopy(name, room, depth)] = plainCopy(value[name], room, depth + 1);
    }
    return copy;
  }
  const found = describe(value);
  throw new Refused(`gave ${found}, no plain data${HINTS[found] ?? ""}`);
}

function judgeValue(result) {
  return { value: plainCopy(result, { ...LIMITS }, 0) };
}

// Nobody is null or []; what is undefined is more likely a name that was mistyped.
function judgeRecipients(result) {
  const missing = result === undefined || (isArray(result) && result.includes(undefined));
  if (!missing) return judgeValue(result);
  const where = result === undefined ? "" : " in its list";
  throw new Refused(`gave undefined${where}, which is no recipient; null or [] is nobody`);
}

const JUDGES = { __proto__: null, boolean: judgeBoolean, value: judgeValue, recipients: judgeRecipients };

const MENDS = [
  [/%SharedDate%/, "the present time is not to be had; use a time of the input: new Date(message.received)"],
  [/%SharedMath%\.random/, "Math.random() is not to be had: a rule decides alike every time"],
];

function explain(program, thrown) {
  try {
    if (thrown instanceof Refused) return { error: thrown.error };
    if (describeTag(thrown) !== "[object Error]") return { error: `threw ${describe(thrown)}` };
    const message = `${thrown.message}`;
    const mended = MENDS.find(([pattern]) => pattern.test(message))?.[1] ?? message;
    return { error: toWellFormed(`${thrown.name}: ${mended}`.slice(0, 500)), ...program.place(thrown) };
  } catch {
    return { error: "threw something that cannot be shown" };
  }
}

// --- deciding --------------------------------------------------------------------------------

function freezeDeep(value) {
  if (typeof value !== "object" || value === null || isFrozen(value)) return;
  freeze(value);
  for (const inner of values(value)) freezeDeep(inner);
}

function asSubject(input) {
  const names = keys(input);
  freezeDeep(input);
  return { names, signature: names.join(), given: values(input) };
}

// One script over the batch: a letter per input (1, 0, . for not wanted, x for anything else),
// the mean time in milliseconds, and for every x its details.
function decideOne({ program, judge }, subjects, wants) {
  let codes = "";
  let counted = 0;
  let signature;
  let run;
  let slow = 0;
  const details = [];
  let started = clock();
  let before = started;
  for (let i = 0; i < subjects.length; i += 1) {
    if (!wants(i)) {
      codes += ".";
      continue;
    }
    const subject = subjects[i];
    let result;
    try {
      if (subject.signature !== signature) {
        run = program.for(subject.names);
        signature = subject.signature;
        const compiled = clock(); // compiling is no part of anybody's time
        started += compiled - before;
        before = compiled;
      }
      result = judge(run(...subject.given));
    } catch (thrown) {
      result = explain(program, thrown);
    }
    const after = clock();
    const took = after - before;
    before = after;
    if (took >= SLOW) slow += took;
    else counted += 1;
    if (took < SLOW && typeof result === "boolean") {
      codes += result ? "1" : "0";
      continue;
    }
    codes += "x";
    const detail = typeof result === "boolean" ? { value: result } : result;
    details.push(took < SLOW ? detail : { ...detail, took });
  }
  const mean = counted === 0 ? 0 : (before - started - slow) / counted;
  return [codes, mean, details];
}

function decide(request) {
  const { inputs, wanted } = parse(request);
  const subjects = inputs.map(asSubject);
  const wants = wanted?.map((indices) => new Set(indices));
  return stringify(
    current.map((script, j) => {
      if (script.program.fault !== null) return null;
      return decideOne(script, subjects, wants === undefined ? () => true : (i) => wants[i].has(j));
    }),
  );
}

globalThis.prepare = prepare;
globalThis.decide = decide;
