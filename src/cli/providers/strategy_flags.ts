import type { MessageInitShape } from "@bufbuild/protobuf";
import { Option } from "commander";
import { StrategySchema } from "../../gen/nexus/v1/strategy_pb.js";
import { type AuthType, authTypes, strategiesOfType } from "../../model/providers/provider_profile.js";
import { usageFailure } from "../shell/command_failure.js";

/** Of a profile whose key a person enters, as commander hands them over; the others are named after the fields of strategies. */
export interface StrategyFlags {
  readonly authType?: AuthType;
}

const kindFields = StrategySchema.oneofs[0]?.fields ?? [];
const messageOfKind = new Map(kindFields.map(({ name, message }) => [name, message]));
const caseOfKind = new Map(kindFields.map(({ name, localName }) => [name, localName]));
/** Names of the fields of each kind of strategy: `header_name`. */
const fieldsOfKind = new Map(
  kindFields.map(({ name, message }) => [name, (message?.fields ?? []).map((field) => field.name)]),
);

const staticTypes = authTypes.filter((type) => type !== "oauth2");
const staticKinds = [...new Set(staticTypes.flatMap((type) => strategiesOfType[type]))];
const help = "For a provider with a static key:";

/** By the name of the field. */
const flags = [...new Set(staticKinds.flatMap((kind) => fieldsOfKind.get(kind) ?? []))].map((name) => {
  const flag = name.replaceAll("_", "-");
  const kinds = staticKinds.filter((kind) => fieldsOfKind.get(kind)?.includes(name));
  return { name, flag, kinds, attribute: new Option(`--${flag}`).attributeName() };
});

/** `--auth-type`, and a flag for each field of a strategy that puts a key into a request. */
export function strategyOptions(): Option[] {
  return [
    new Option("--auth-type <word>", "how the key goes into a request").choices(authTypes).helpGroup(help),
    ...flags.map(({ flag, name, kinds }) =>
      new Option(`--${flag} <text>`, `${name} of the strategy ${kinds.join(", ")}`).helpGroup(help),
    ),
  ];
}

/**
 * The strategy that the flags say; undefined when they leave it to the type.
 *
 * @throws CommandFailure for a flag that no strategy of the type has
 */
export function strategyOfFlags(
  authType: AuthType,
  given: StrategyFlags,
): MessageInitShape<typeof StrategySchema> | undefined {
  const values = given as Readonly<Record<string, string | undefined>>;
  const set = flags.filter(({ attribute }) => values[attribute] !== undefined);
  if (set.length === 0) return undefined;
  const kinds = strategiesOfType[authType];
  const kind = kinds.find((each) => set.every(({ name }) => fieldsOfKind.get(each)?.includes(name)));
  if (kind === undefined || kind === "oauth2") {
    const names = set.map(({ flag }) => `--${flag}`).join(", ");
    const of = kinds
      .flatMap((each) => fieldsOfKind.get(each) ?? [])
      .map((name) => `--${name.replaceAll("_", "-")}`);
    throw usageFailure(
      authType === "oauth2"
        ? `${names}: give --auth-type with a type other than oauth2`
        : `${names}: no strategy of ${authType} has all of these; it takes ${[...new Set(of)].join(", ")}`,
    );
  }
  const value = Object.fromEntries(
    set.map(({ name, attribute }) => [fieldOf(kind, name)?.localName ?? name, values[attribute] ?? ""]),
  );
  return { kind: { case: caseOfKind.get(kind), value } } as MessageInitShape<typeof StrategySchema>;
}

function fieldOf(kind: string, name: string) {
  return messageOfKind.get(kind)?.fields.find((field) => field.name === name);
}
