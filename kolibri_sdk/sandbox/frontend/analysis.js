// Looks at expressions and runs none of them: how a condition is made up, and what in it is likely
// a mistake. Loaded into the hardened isolate when it is first asked for.
import { findings, invisible } from "./findings.js";
import { parseExpression, split } from "./syntax.js";

globalThis.inspect = (request) => {
  const { scripts, shapes } = JSON.parse(request);
  return JSON.stringify(
    scripts.map(({ source, expects }) => {
      let expression;
      try {
        expression = parseExpression(source);
      } catch {
        // The compiler tells what is wrong, and where; what nobody sees it does not tell.
        return { tree: null, findings: [...invisible(source)] };
      }
      return {
        tree: split(expression, source),
        findings: findings(expression, source, expects, shapes),
      };
    }),
  );
};
