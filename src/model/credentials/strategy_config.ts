import { bearerStrategy, type Strategy, type StrategyKind } from "./strategy.js";

/** A strategy that says nothing of its own: these are also the fields of each, in their order. What has no default stays empty. */
const defaults: { readonly [Kind in StrategyKind]: Extract<Strategy, { kind: Kind }> } = {
  oauth2: bearerStrategy,
  header: { kind: "header", headerName: "Authorization", valuePrefix: "", credentialField: "api_key" },
  query_param: { kind: "query_param", paramName: "", credentialField: "api_key" },
  basic_auth: { kind: "basic_auth", usernameField: "username", passwordField: "password" },
  aws_sigv4: { kind: "aws_sigv4", service: "", region: "us-east-1" },
  hmac_payload: {
    kind: "hmac_payload",
    headerName: "",
    secretField: "api_secret",
    algo: "sha256",
    encoding: "hex",
  },
};

interface ConfigField {
  /** `headerName` */
  readonly key: string;
  /** On the wire: `header_name`. */
  readonly name: string;
  readonly fallback: string;
}

const fieldsOf: ReadonlyMap<string, readonly ConfigField[]> = new Map(
  Object.values(defaults).map(({ kind, ...fields }) => [
    kind,
    Object.entries<string>(fields).map(([key, fallback]) => {
      const name = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      return { key, name, fallback };
    }),
  ]),
);

/** The strategy's own fields by their names on the wire (`header_name`, ...). */
export function strategyConfig(strategy: Strategy): Record<string, string> {
  const values: Readonly<Record<string, string>> = { ...strategy };
  const fields = fieldsOf.get(strategy.kind) ?? [];
  return Object.fromEntries(fields.map(({ key, name }) => [name, values[key] ?? ""]));
}

/**
 * The strategy that a kind and its fields say, what is missing or empty by its default. What has no default stays empty, for
 * the judgement of the profile.
 *
 * @returns undefined for an unknown kind; an unknown `algo` or `encoding` is kept for the judgement too
 */
export function strategyOfConfig(
  kind: string,
  config: Readonly<Record<string, string>>,
): Strategy | undefined {
  const fields = fieldsOf.get(kind);
  if (!fields) return undefined;
  const values = fields.map(({ key, name, fallback }) => {
    const value = Object.hasOwn(config, name) ? config[name] : undefined;
    // The empty prefix is one.
    const isGiven = value !== undefined && (value !== "" || key === "valuePrefix");
    return [key, isGiven ? value : fallback];
  });
  return { kind, ...Object.fromEntries(values) } as Strategy;
}
