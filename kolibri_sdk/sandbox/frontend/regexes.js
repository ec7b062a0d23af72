// Regular expressions in an expression: those that keep a state, and those that can blow up.
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
