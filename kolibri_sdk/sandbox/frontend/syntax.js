// The shape of an expression: its leaves, joined by && || ! and ?:, and what each leaf reads. Places
// are offsets into the expression itself; whoever asks turns them into lines.
import { parse } from "acorn";

const BEFORE = "(\n"; // as the sandbox compiles it: what is no expression is a syntax error here too
const ROOTS = new Set(["message", "record", "old", "changed", "user"]);

export function parseExpression(source) {
  const program = parse(`${BEFORE}${source}\n)`, {
    ecmaVersion: "latest",
    sourceType: "module",
    allowAwaitOutsideFunction: true,
  });
  return program.body[0].expression;
}

// Start and end in the source; acorn leaves brackets out of a node, so they stay outside.
export const span = (node) => [node.start - BEFORE.length, node.end - BEFORE.length];

export function* children(node) {
  for (const [key, value] of Object.entries(node)) {
    if (key === "type" || key === "start" || key === "end") continue;
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && typeof one === "object" && typeof one.type === "string") yield one;
    }
  }
}

export function* walk(node) {
  yield node;
  for (const child of children(node)) yield* walk(child);
}

const isFunction = (node) =>
  node.type === "ArrowFunctionExpression" || node.type === "FunctionExpression";

// What cannot be looked into: its parts are statements, or change something on the way.
function isOpaque(node) {
  if (node.type === "CallExpression" && isFunction(node.callee)) return true;
  return [...walk(node)].some((one) =>
    ["SequenceExpression", "AssignmentExpression", "UpdateExpression", "AwaitExpression"].includes(
      one.type,
    ),
  );
}

// Names that a function inside declares: what they hide is not ours.
export function declared(node) {
  const names = new Set();
  for (const one of walk(node)) {
    const patterns = isFunction(one) ? one.params : one.type === "VariableDeclarator" ? [one.id] : [];
    for (const pattern of patterns) {
      for (const inner of walk(pattern)) if (inner.type === "Identifier") names.add(inner.name);
    }
  }
  return names;
}

// `message.from.address`: the steps behind its root, as far as they are known names; null otherwise.
export function chainOf(node) {
  if (node.type === "ChainExpression") return chainOf(node.expression);
  if (node.type === "Identifier") {
    return ROOTS.has(node.name) ? { root: node.name, steps: [], places: [] } : null;
  }
  if (node.type !== "MemberExpression") return null;
  const chain = chainOf(node.object);
  if (chain === null) return null;
  let step;
  if (!node.computed && node.property.type === "Identifier") step = node.property.name;
  else if (node.computed && node.property.type === "Literal") step = node.property.value;
  else return null;
  return {
    root: chain.root,
    steps: [...chain.steps, step],
    places: [...chain.places, node.property],
    optional: node.optional || chain.optional,
  };
}

// The longest chains in a node, each once: what it reads. A method's name belongs to the call.
export function chainsIn(node, hidden = declared(node)) {
  const found = [];
  const visit = (one, isCallee) => {
    const chain = chainOf(one);
    if (chain !== null && !hidden.has(chain.root)) {
      if (isCallee && chain.steps.length > 1) {
        const inner = one.type === "ChainExpression" ? one.expression : one;
        visit(inner.object, false);
      } else if (chain.steps.length > 0) found.push({ node: one, ...chain });
      return;
    }
    for (const child of children(one)) {
      visit(child, one.type === "CallExpression" && child === one.callee);
    }
  };
  visit(node, false);
  return found;
}

function seenBy(node, source) {
  const texts = chainsIn(node).map(({ node: one }) => source.slice(...span(one)));
  return [...new Set(texts)];
}

const JOINTS = { "&&": "and", "||": "or" };

export function split(node, source) {
  const [start, end] = span(node);
  const joint = node.type === "LogicalExpression" ? JOINTS[node.operator] : undefined;
  if (joint !== undefined) {
    const parts = [];
    const flatten = (one) => {
      if (one.type === "LogicalExpression" && one.operator === node.operator) {
        flatten(one.left);
        flatten(one.right);
      } else parts.push(split(one, source));
    };
    flatten(node);
    return { kind: joint, start, end, parts };
  }
  if (node.type === "UnaryExpression" && node.operator === "!") {
    return { kind: "not", start, end, parts: [split(node.argument, source)] };
  }
  if (node.type === "ConditionalExpression") {
    const parts = [node.test, node.consequent, node.alternate].map((one) => split(one, source));
    return { kind: "if", start, end, parts };
  }
  const opaque = isOpaque(node);
  return { kind: opaque ? "opaque" : "leaf", start, end, parts: [], seen: seenBy(node, source) };
}
