import { describe, expect, it } from "vitest";
import { type AnyStrategy, applyStrategy, type BodyHash } from "../../src/strategies/apply_strategy.js";
import table from "../clients/strategy_vectors.json" with { type: "json" };

/** One line of the table that the client libraries of all languages are held to. */
interface Vector {
  readonly name: string;
  readonly strategy: object;
  readonly credentials: Readonly<Record<string, string>>;
  readonly request: {
    readonly method: string;
    readonly url: string;
    readonly headers: Record<string, string>;
    readonly body?: string;
  };
  readonly time_ms?: number;
  readonly body_hash?: BodyHash;
  readonly expected?: object;
  readonly error?: { readonly reason: string; readonly field: string };
}

const vectors = table.vectors as readonly unknown[] as readonly Vector[];

describe("the strategy vectors of the client libraries", () => {
  it("hold every strategy and the whole suite of AWS", () => {
    const kinds = new Set(vectors.map(({ strategy }) => Object.keys(strategy)[0]));
    for (const kind of ["oauth2", "header", "queryParam", "basicAuth", "awsSigv4", "hmacPayload"]) {
      expect(kinds).toContain(kind);
    }
    expect(vectors.filter(({ name }) => name.startsWith("AWS suite: "))).toHaveLength(34);
  });

  it.each(vectors.map((vector) => [vector.name, vector] as const))("%s", async (_name, vector) => {
    const { strategy, credentials, request, time_ms = 0, body_hash = "header", expected, error } = vector;
    const options = { clock: { nowMs: () => time_ms }, bodyHash: body_hash };
    const applied = applyStrategy(request, strategy as AnyStrategy, credentials, options);
    if (error) await expect(applied).rejects.toMatchObject({ code: error.reason, field: error.field });
    else expect(await applied).toEqual(expected);
  });
});
