import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { type Strategy as StrategyMessage, StrategySchema } from "../../gen/nexus/v1/strategy_pb.js";
import type { Strategy, StrategyKind } from "../credentials/strategy.js";
import { strategyOfConfig } from "../credentials/strategy_config.js";

type StrategyOneof = NonNullable<MessageInitShape<typeof StrategySchema>["kind"]>;

const kinds = StrategySchema.oneofs[0]?.fields ?? [];
const caseOfKind = Object.fromEntries(kinds.map(({ name, localName }) => [name, localName]));
const fieldOfCase = new Map(kinds.map((field) => [field.localName, field]));

/** A token that is read again has the strategy that it had: its message is made once, and never written to. */
const messages = new WeakMap<Strategy, StrategyMessage>();

/** A kind is the name of its field in `nexus.v1.Strategy`, and its fields have the names that they have there. */
export function strategyMessage(strategy: Strategy): StrategyMessage {
  let message = messages.get(strategy);
  if (!message) {
    const { kind, ...value } = strategy;
    message = create(StrategySchema, { kind: { case: caseOfKind[kind], value } as StrategyOneof });
    messages.set(strategy, message);
  }
  return message;
}

/** The strategy of a message, empty fields by their defaults; undefined when none is set. */
export function strategyOf(message: StrategyMessage | undefined): Strategy | undefined {
  const { case: kind, value } = message?.kind ?? {};
  const field = kind === undefined ? undefined : fieldOfCase.get(kind);
  if (!value || !field?.message) return undefined;
  return strategyOfConfig(field.name as StrategyKind, configOf(field.message, value));
}

/** What is unset is left out, so that an empty text that is meant stays one. */
function configOf(descriptor: DescMessage, value: object): Record<string, string> {
  const members = value as Readonly<Record<string, string | undefined>>;
  return Object.fromEntries(
    descriptor.fields.flatMap(({ name, localName }) => {
      const text = members[localName];
      return text === undefined ? [] : [[name, text]];
    }),
  );
}
