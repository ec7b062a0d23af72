// Regular expressions in an expression: those that keep a state, and those that can blow up.
import { RegExpParser, visitRegExpAST } from "@eslint-community/regexpp";
import { toUnicodeSet } from "regexp-ast-analysis";
import { analyse } from "scslre";

import { walk } from "./syntax.js";

const STATELESS = ["replace", "replaceAll", "match", "matchAll", "split", "search"];

export function* regexFindings(expression, report) {
  const parents = new Map();
  for (const node of walk(expression)) {
    if (node.type === "CallExpression") for (const one of node.arguments) parents.set(one, node);
    if (node.type !== "Literal" || !node.regex) continue;
    const { pattern, flags } = node.regex;
    const call = parents.get(node);
    const method = call?.callee.type === "MemberExpression" ? call.callee.property.name : "";
    if (/[gy]/.test(flags) && !STATELESS.includes(method)) {
      yield report(
        node,
        `the flag ${/[gy]/.exec(flags)[0]} lets a regular expression remember where it stopped: ` +
          "asked again, it answers otherwise",
        `write /${pattern}/${flags.replace(/[gy]/g, "")}`,
        "warning",
      );
    }
    yield* blowUps(node, pattern, flags, report);
  }
}

function* blowUps(node, pattern, flags, report) {
  let reports;
  try {
    ({ reports } = analyse({ source: pattern, flags }, { reportTypes: { Move: false } }));
  } catch {
    return; // a syntax it does not know: nothing is said
  }
  const worst = reports.find((one) => one.exponential) ?? reports[0];
  const twice = worst?.exponential ? undefined : ambiguous(pattern, flags);
  if (twice !== undefined) {
    yield report(
      node,
      `this regular expression can take for ever: ${twice} is repeated, and more than one of its ` +
        "alternatives, or of their sequences, matches the same text",
      "let no two alternatives match the same text",
      "error",
    );
    return;
  }
  if (worst === undefined) return;
  const example = JSON.stringify(worst.character.pick);
  yield worst.exponential
    ? report(
        node,
        `this regular expression can take for ever: many ${example} in a mail double its time, each`,
        "do not put a repetition into a repetition of the same characters",
        "error",
      )
    : report(
        node,
        `this regular expression is slow on long mails: its time grows with the square of many ${example}`,
        "let two repetitions that follow each other not share characters, or bound them: {0,100}",
        "warning",
      );
}

// A repeated choice whose alternatives match the same text in two ways, with something behind it
// that may fail: V8 tries both ways of each repetition. The library looks at repetitions alone.
function ambiguous(pattern, flags) {
  let found;
  const tree = new RegExpParser().parseLiteral(`/${pattern}/${flags}`);
  visitRegExpAST(tree.pattern, {
    onQuantifierEnter(quantifier) {
      const { element, max } = quantifier;
      const choice = element.type === "Group" || element.type === "CapturingGroup";
      if (found !== undefined || !choice || max < MANY || !isFollowed(quantifier)) return;
      if (meetTwice(element.alternatives, tree.flags)) found = element.raw;
    },
  });
  return found;
}

const MANY = 16; // fewer repetitions than these end in time

function isFollowed(node) {
  for (let here = node; here.parent; here = here.parent) {
    const { parent } = here;
    if (parent.type === "Alternative" && parent.elements.at(-1) !== here) return true;
  }
  return false;
}

function meetTwice(alternatives, flags) {
  const one = alternatives.filter(({ elements }) => elements.length === 1 && isCharacter(elements[0]));
  const sets = one.map(({ elements }) => toUnicodeSet(elements[0], flags));
  if (sets.some((set, i) => sets.slice(i + 1).some((other) => !set.isDisjointWith(other)))) {
    return true;
  }
  const raws = alternatives.map(({ raw }) => raw);
  if (new Set(raws).size < raws.length) return true;
  const words = alternatives.map(({ elements }) =>
    elements.every(({ type }) => type === "Character")
      ? elements.map(({ value }) => folded(value, flags)).join("")
      : undefined,
  );
  return !isUniquelyDecodable(words.filter((word) => word));
}

const isCharacter = ({ type }) => ["Character", "CharacterSet", "CharacterClass"].includes(type);

const folded = (value, { ignoreCase }) =>
  ignoreCase ? String.fromCodePoint(value).toLowerCase() : String.fromCodePoint(value);

// Sardinas and Patterson 1953: whether no text can be cut into these words in two ways.
function isUniquelyDecodable(words) {
  if (new Set(words).size < words.length) return false;
  const seen = new Set();
  let rests = words.flatMap((word) => restsOf(word, words.filter((other) => other !== word)));
  while (rests.length > 0) {
    if (rests.some((rest) => rest === "" || words.includes(rest))) return false;
    const fresh = rests.filter((rest) => !seen.has(rest));
    fresh.forEach((rest) => seen.add(rest));
    rests = fresh.flatMap((rest) => [
      ...restsOf(rest, words),
      ...words.filter((word) => rest.startsWith(word)).map((word) => rest.slice(word.length)),
    ]);
  }
  return true;
}

// What of the words is left behind this beginning.
const restsOf = (start, words) =>
  words.filter((word) => word.startsWith(start)).map((word) => word.slice(start.length));
