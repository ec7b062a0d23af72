// What is known of a value before anything runs: text, number, list … An unknown one is undefined.
// A shape says what a variable holds: "string", "number", "boolean", "any"; "string?" may be null;
// "string=a|b" is one of these; [shape] is a list; {name: shape} an object, null if it has "?";
// {"*": shape} an object of any names.
import { chainOf } from "./syntax.js";

const METHODS = {
  string: Object.getOwnPropertyNames(String.prototype),
  number: Object.getOwnPropertyNames(Number.prototype),
  boolean: Object.getOwnPropertyNames(Boolean.prototype),
  list: [...Object.getOwnPropertyNames(Array.prototype), "length"],
  object: Object.getOwnPropertyNames(Object.prototype),
};

const GIVES = {
  boolean: ["includes", "startsWith", "endsWith", "some", "every", "test", "hasOwnProperty"],
  number: ["indexOf", "lastIndexOf", "search", "localeCompare", "findIndex", "charCodeAt"],
  string: ["toLowerCase", "toUpperCase", "trim", "trimStart", "trimEnd", "replace", "replaceAll",
    "normalize", "join", "repeat", "padStart", "padEnd", "charAt", "substring", "toString"],
  list: ["filter", "map", "split", "flatMap", "flat"],
  "list or null": ["match", "exec"],
};

export const nameOf = (shape) => {
  if (Array.isArray(shape)) return "list";
  if (typeof shape === "string") return shape.replace(/[?=].*/, "");
  return shape === undefined ? undefined : "object";
};

export const mayBeNull = (shape) =>
  typeof shape === "string" ? shape.includes("?") : shape !== undefined && shape["?"] === true;

export const oneOf = (shape) =>
  typeof shape === "string" && shape.includes("=") ? shape.split("=")[1].split("|") : null;

// One step further: the shape there, undefined where it is not known, null where there is none.
export function stepInto(shape, step) {
  const name = nameOf(shape);
  if (name === undefined || name === "any") return undefined;
  if (name === "list" && typeof step === "number") return shape[0];
  if (name === "object") {
    if ("*" in shape) return shape["*"];
    if (Object.hasOwn(shape, step) && step !== "?") return shape[step];
    return METHODS.object.includes(step) ? undefined : null;
  }
  if (step === "length") return "number";
  if (name === "string" && typeof step === "number") return "string";
  return METHODS[name]?.includes(step) ? undefined : null;
}

export function namesOf(shape) {
  const name = nameOf(shape);
  return name === "object" ? Object.keys(shape).filter((one) => one !== "?") : METHODS[name];
}

export function shapeOf(node, shapes) {
  const chain = chainOf(node);
  if (chain === null || !Object.hasOwn(shapes, chain.root)) return undefined;
  let shape = shapes[chain.root];
  for (const step of chain.steps) {
    if (shape === undefined || shape === null) return undefined;
    shape = stepInto(shape, step);
  }
  return shape ?? undefined;
}

const COMPARISONS = ["===", "!==", "==", "!=", "<", ">", "<=", ">=", "in", "instanceof"];

// The name of a type, "object or null", or undefined.
export function typeOf(node, shapes) {
  switch (node.type) {
    case "Literal":
      if (node.regex) return "regular expression";
      return node.value === null ? "null" : typeof node.value;
    case "TemplateLiteral":
      return "string";
    case "ArrayExpression":
      return "list";
    case "ObjectExpression":
      return "object";
    case "ArrowFunctionExpression":
    case "FunctionExpression":
      return "function";
    case "UnaryExpression":
      return { "!": "boolean", typeof: "string", "-": "number", "+": "number" }[node.operator];
    case "BinaryExpression":
      return COMPARISONS.includes(node.operator) ? "boolean" : undefined;
    case "ConditionalExpression":
      return same(node.consequent, node.alternate, shapes);
    case "LogicalExpression":
      return same(node.left, node.right, shapes);
    case "ChainExpression": {
      const inner = typeOf(node.expression, shapes);
      const call = node.expression;
      const object = call.type === "CallExpression" ? call.callee.object : call.object;
      const open = object !== undefined && mayBeNull(shapeOf(object, shapes));
      return inner !== undefined && open ? `${inner} or undefined` : inner;
    }
    case "CallExpression":
      return callType(node);
    default: {
      const shape = shapeOf(node, shapes);
      const name = nameOf(shape);
      if (name === undefined || name === "any") return undefined;
      return mayBeNull(shape) ? `${name} or null` : name;
    }
  }
}

function callType({ callee }) {
  if (callee.type === "Identifier") {
    return { Boolean: "boolean", String: "string", Number: "number" }[callee.name];
  }
  if (callee.type !== "MemberExpression" || callee.computed) return undefined;
  const method = callee.property.name;
  return Object.keys(GIVES).find((type) => GIVES[type].includes(method));
}

function same(one, other, shapes) {
  const type = typeOf(one, shapes);
  return type !== undefined && type === typeOf(other, shapes) ? type : undefined;
}
