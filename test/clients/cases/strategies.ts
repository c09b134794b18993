import { DriverError } from "../driver_process.js";
import { type Case, must } from "../scene.js";
import table from "../strategy_vectors.json" with { type: "json" };

interface Request {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | null;
}

/** One line of `strategy_vectors.json`, as far as it is read here. */
interface Vector {
  readonly name: string;
  readonly expected?: Request;
  readonly error?: { readonly reason: string; readonly field: string };
}

/** All vectors by `apply`. */
export const strategies: readonly Case[] = [
  {
    name: "strategy vectors",
    play: async (scene) => {
      const driver = await scene.open();
      const wrong: string[] = [];
      for (const vector of table.vectors as readonly unknown[] as readonly Vector[]) {
        const { name, expected, error, ...fields } = vector;
        const found = await driver.call("apply", fields).then(
          (answer) => canonical(answer as unknown as Request),
          (thrown: unknown) => {
            if (!(thrown instanceof DriverError)) throw thrown;
            return thrown.type === "StrategyError"
              ? `${thrown.fields["reason"]} ${thrown.fields["field"]}`
              : `${thrown.type}: ${thrown.message}`;
          },
        );
        const wanted = expected ? canonical(expected) : `${error?.reason} ${error?.field}`;
        if (found !== wanted) wrong.push(`${name}\n  found  ${found}\n  wanted ${wanted}`);
      }
      must(wrong.length === 0, `${wrong.length} vectors are not met:\n${wrong.slice(0, 10).join("\n")}`);
    },
  },
];

/** Names of headers in lower case and in order; no body is an empty one. */
function canonical({ method, url, headers, body }: Request): string {
  const sorted = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
  return JSON.stringify([method, url, sorted.sort(), body ?? ""]);
}
