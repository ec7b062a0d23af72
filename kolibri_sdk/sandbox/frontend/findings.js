// What in an expression is likely a mistake, each with its mend. Nothing is run.
import { regexFindings } from "./regexes.js";
import { chainOf, chainsIn, declared, span, walk } from "./syntax.js";
import { mayBeNull, nameOf, namesOf, oneOf, shapeOf, stepInto, typeOf } from "./types.js";

const WORDS = { string: "text", "list or null": "a list or null", "string or null": "text or null" };
const inWords = (type) =>
  WORDS[type] ?? (/^[aeiou]/.test(type) ? `an ${type}` : /^(null|undef)/.test(type) ? type : `a ${type}`);

const MENDS = {
  string: "compare it, such as … !== ''",
  number: "compare it, such as … > 0",
  list: "write ….length > 0",
  object: "compare one of its fields",
  "list or null": "write /…/.test(text)",
  "regular expression": "write /…/.test(message.subject)",
};

function distance(one, other) {
  let row = Array.from({ length: other.length + 1 }, (_, i) => i);
  for (let i = 1; i <= one.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= other.length; j += 1) {
      const cost = one[i - 1] === other[j - 1] ? 0 : 1;
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + cost);
    }
    row = next;
  }
  return row[other.length];
}

const ALIASES = { contains: "includes", sender: "from", body: "text", recipients: "to", date: "received",
  has: "includes", size: "length", count: "length", content: "text", title: "subject" };

function nearest(name, names) {
  const alias = ALIASES[name];
  if (names.includes(alias)) return alias;
  const plain = (text) => text.toLowerCase().replace(/[_-]/g, "");
  const ranked = names.map((one) => [distance(plain(name), plain(one)), one]).sort((a, b) => a[0] - b[0]);
  const [best] = ranked;
  return best !== undefined && best[0] <= Math.max(1, Math.floor(name.length / 3)) ? best[1] : null;
}

const finding = (at, message, mend, severity = "error") => ({ at, message, mend, severity });

export function findings(expression, source, expects, shapes) {
  const report = (node, ...rest) => finding(span(node)[0], ...rest);
  const text = (node) => source.slice(...span(node));
  const found = [
    ...invisible(source),
    ...forbidden(expression, expects, report),
    ...fields(expression, source, shapes, report, text),
    ...comparisons(expression, shapes, report, text),
    ...regexFindings(expression, report),
  ];
  if (expects === "boolean") {
    found.push(...constants(expression, report, text));
    found.push(...noBoolean(expression, shapes, report, text));
  }
  const seen = new Set();
  return found.filter(({ at, message }) => {
    const key = `${at} ${message}`;
    return seen.has(key) ? false : seen.add(key);
  });
}

export function* invisible(source) {
  for (const { 0: character, index } of source.matchAll(
    /[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]/g,
  )) {
    const code = character.charCodeAt(0).toString(16).padStart(4, "0");
    const turns = /[\u200e\u200f\u202a-\u202e\u2066-\u2069]/.test(character);
    yield finding(
      index,
      `there is an invisible character, U+${code.toUpperCase()}` +
        (turns ? ", which lets the text look otherwise than it is read" : ""),
      `delete it, or write \\u${code}`,
      turns ? "error" : "warning",
    );
  }
}

function* forbidden(expression, expects, report) {
  const clock = "use a time of the mail: new Date(message.received)";
  for (const node of walk(expression)) {
    if (node.type === "AwaitExpression" || (node.async === true && expects === "boolean")) {
      yield report(node, "an async function gives no answer in time", "leave out async and await");
    } else if (node.type === "AssignmentExpression" && chainOf(node.left) !== null) {
      yield report(node, "= sets a value, and nothing can be set here", "write === to compare");
    } else if (node.type === "MemberExpression" && node.object.type === "Identifier") {
      const name = `${node.object.name}.${node.property.name}`;
      if (name === "Date.now") yield report(node, "the present time is not to be had", clock);
      if (name === "Math.random") {
        yield report(node, "chance is not to be had", "a rule decides alike every time; leave it out");
      }
    } else if (/^(New|Call)Expression$/.test(node.type) && node.callee.name === "Date") {
      if (node.type === "CallExpression" || node.arguments.length === 0) {
        yield report(node, "the present time is not to be had", clock);
      }
    }
  }
}

function* fields(expression, source, shapes, report, text) {
  const hidden = declared(expression);
  const asked = new Set(chainsIn(expression, hidden).map(({ node }) => text(node)));
  const members = [...walk(expression)].filter(({ type }) => type === "MemberExpression");
  for (const node of members) {
    const chain = chainOf(node);
    if (chain === null || hidden.has(chain.root) || !Object.hasOwn(shapes, chain.root)) continue;
    const shape = shapeOf(node.object, shapes);
    if (shape === undefined) continue;
    const step = chain.steps.at(-1);
    if (stepInto(shape, step) === null) {
      const near = nearest(`${step}`, namesOf(shape));
      const names = nameOf(shape) === "object" ? namesOf(shape).join(", ") : "";
      yield report(
        node.property,
        `${text(node.object)} has no ${step}`,
        near ? `did you mean ${near}?` : names ? `it has ${names}` : `it is ${inWords(nameOf(shape))}`,
      );
    } else if (mayBeNull(shape) && !chain.optional && chain.steps.length > 1) {
      const object = text(node.object);
      if (!asked.has(object)) {
        yield report(
          node,
          `${object} can be null, and then this is an error`,
          `ask first: ${object} !== null && …`,
          "warning",
        );
      }
    }
  }
}

const plainType = (type) => type?.replace(/ or (null|undefined)$/, "");

function* comparisons(expression, shapes, report, text) {
  for (const node of walk(expression)) {
    if (node.type === "BinaryExpression" && /^[!=]==?$/.test(node.operator)) {
      yield* equality(node, shapes, report, text);
    } else if (node.type === "CallExpression" && node.callee.type === "MemberExpression") {
      yield* inclusion(node, shapes, report, text);
    }
  }
}

function* equality(node, shapes, report, text) {
  const always = node.operator[0] === "=" ? "always false" : "always true";
  const { left, right } = node;
  if ([left, right].some((one) => one.type === "Identifier" && one.name === "NaN")) {
    yield report(node, `a comparison with NaN is ${always}`, "write Number.isNaN(…)");
    return;
  }
  const [one, other] = [typeOf(left, shapes), typeOf(right, shapes)];
  if (one === undefined || other === undefined) return;
  if ([one, other].some((type) => /null|undefined/.test(type))) return;
  if (one !== other && node.operator.length === 3) {
    const object = [left, right].find((side) => plainType(typeOf(side, shapes)) === "object");
    const near = object && Object.hasOwn(shapeOf(object, shapes) ?? {}, "address");
    yield report(
      node,
      `this is ${always}: ${inWords(one)} is never ${inWords(other)}`,
      near ? `compare ${text(object)}.address` : "compare values of one type",
    );
    return;
  }
  const choices = oneOf(shapeOf(left, shapes)) ?? oneOf(shapeOf(right, shapes));
  const literal = [left, right].find((side) => side.type === "Literal");
  if (choices !== null && literal && !choices.includes(literal.value)) {
    const near = nearest(`${literal.value}`, choices);
    yield report(
      literal,
      `this is ${always}: there is no ${text(literal)}`,
      near ? `did you mean "${near}"?` : `it is one of ${choices.join(", ")}`,
    );
  }
}

function* inclusion(node, shapes, report, text) {
  const { callee, arguments: given } = node;
  const method = callee.property.name;
  const [first] = given;
  if (first === undefined || first.type !== "Literal" || typeof first.value !== "string") return;
  const shape = shapeOf(callee.object, shapes);
  if (Array.isArray(shape) && nameOf(shape[0]) === "object" && /^(includes|indexOf)$/.test(method)) {
    const field = Object.hasOwn(shape[0], "address") ? "address" : "filename";
    yield report(
      node,
      `this is always false: ${text(callee.object)} holds objects, no text`,
      `write ${text(callee.object)}.some(one => one.${field} === ${text(first)})`,
    );
    return;
  }
  const turned = callee.object.type === "CallExpression" && callee.object.callee.property?.name;
  const lower = turned === "toLowerCase" && first.value !== first.value.toLowerCase();
  const upper = turned === "toUpperCase" && first.value !== first.value.toUpperCase();
  if ((lower || upper) && /^(includes|startsWith|endsWith|indexOf)$/.test(method)) {
    yield report(
      first,
      `this is never found: behind ${turned}() there are no ${lower ? "capital" : "small"} letters`,
      `write ${JSON.stringify(lower ? first.value.toLowerCase() : first.value.toUpperCase())}`,
    );
  }
}

// The pieces of an expression of which only the truth counts.
function* judged(node) {
  yield node;
  if (node.type === "LogicalExpression" && node.operator !== "??") {
    yield* judged(node.left);
    yield* judged(node.right);
  } else if (node.type === "UnaryExpression" && node.operator === "!") yield* judged(node.argument);
  else if (node.type === "ConditionalExpression") {
    for (const one of [node.test, node.consequent, node.alternate]) yield* judged(one);
  }
}

function* constants(expression, report, text) {
  for (const node of judged(expression)) {
    if (node.type !== "LogicalExpression" || node.operator === "??") continue;
    for (const side of [node.left, node.right]) {
      const literal = side.type === "Literal" && typeof side.value !== "boolean";
      if (literal || /^(Array|Object|ArrowFunction|Function)Expression$/.test(side.type)) {
        const truth = side.type !== "Literal" || side.regex || side.value;
        yield report(
          side,
          `${text(side)} by itself is always ${truth ? "true" : "false"}`,
          side.regex
            ? `write ${text(side)}.test(message.subject)`
            : "write the whole comparison, such as message.subject.includes(…)",
        );
      }
    }
    yield* contradictions(node, report, text);
  }
}

function* contradictions(node, report, text) {
  const parts = [];
  const flatten = (one) => {
    if (one.type === "LogicalExpression" && one.operator === node.operator) {
      [one.left, one.right].forEach(flatten);
    } else parts.push(one);
  };
  flatten(node);
  const said = new Set(parts.map(text));
  for (const part of parts) {
    if (part.type === "UnaryExpression" && part.operator === "!" && said.has(text(part.argument))) {
      const always = node.operator === "&&" ? "false" : "true";
      yield report(part, `this is always ${always}: it asks for a thing and its opposite`, "leave out one", "warning");
    }
  }
}

function* noBoolean(node, shapes, report, text) {
  if (node.type === "LogicalExpression") {
    if (node.operator !== "??") yield* noBoolean(node.left, shapes, report, text);
    yield* noBoolean(node.right, shapes, report, text);
    return;
  }
  if (node.type === "ConditionalExpression") {
    yield* noBoolean(node.consequent, shapes, report, text);
    yield* noBoolean(node.alternate, shapes, report, text);
    return;
  }
  const type = typeOf(node, shapes);
  if (type === undefined || type === "boolean") return;
  const method = node.type === "CallExpression" ? node.callee.property?.name : undefined;
  let mend = MENDS[type] ?? MENDS[plainType(type)] ?? "compare it with something";
  if (method === "indexOf") mend = "write includes in place of indexOf";
  if (type === "boolean or undefined") mend = `write (${text(node)} ?? false)`;
  else if (/ or null$/.test(type) && MENDS[type] === undefined) mend = `write ${text(node)} !== null`;
  yield report(node, `this gives ${inWords(type)}, not true or false`, mend);
}
