import {
  create,
  type DescMessage,
  fromBinary,
  type Message,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { decodeText, decodeTime, decodeWord, encodeTime, encodeWord } from "./field_codec.js";

/** How a value lies in a record, both ways. `encode` answers undefined for what stays unset. */
export interface ValueForm<Value, Stored> {
  encode(value: Value): Stored | undefined;
  decode(stored: Stored): Value;
}

/** A form for each member that is of another type in the record. */
type Forms<Model, Stored> = {
  readonly [Name in keyof Stored & keyof Model as [Stored[Name], Model[Name]] extends [
    Model[Name],
    Stored[Name],
  ]
    ? never
    : Name]-?: ValueForm<Model[Name], Stored[Name]>;
};

type RecordMembers = Record<string, unknown>;

/** A model and the record that has its members by the same names. Members that only one of them has are left to the caller. */
export function recordForm<Model, Desc extends DescMessage>(
  schema: Desc,
  forms: Forms<Model, MessageShape<Desc>>,
) {
  const byName: Readonly<Record<string, ValueForm<unknown, unknown>>> = forms;
  const fields = schema.fields.map(({ localName }) => [localName, byName[localName]] as const);
  const toMessage = (model: Model): MessageShape<Desc> => {
    const message = create(schema);
    for (const [name, form] of fields) {
      const value = (model as RecordMembers)[name];
      const stored = form ? form.encode(value) : value;
      if (stored !== undefined) (message as Message & RecordMembers)[name] = stored;
    }
    return message;
  };
  const fromMessage = (message: MessageShape<Desc>): Model => {
    const model: RecordMembers = {};
    for (const [name, form] of fields) {
      const stored = (message as Message & RecordMembers)[name];
      model[name] = form ? form.decode(stored) : stored;
    }
    return model as Model;
  };
  return {
    toMessage,
    fromMessage,
    encode: (model: Model): Uint8Array => toBinary(schema, toMessage(model)),
    decode: (bytes: Uint8Array): Model => fromMessage(fromBinary(schema, bytes)),
  };
}

/** A record inside another one. */
export function nested<Model, Stored>(form: {
  toMessage(model: Model): Stored;
  fromMessage(message: Stored): Model;
}): ValueForm<Model | undefined, Stored | undefined> {
  return {
    encode: (model) => (model === undefined ? undefined : form.toMessage(model)),
    decode: (message) => (message === undefined ? undefined : form.fromMessage(message)),
  };
}

export const time: ValueForm<number, bigint> = { encode: BigInt, decode: Number };
export const optionalTime: ValueForm<number | undefined, bigint> = { encode: encodeTime, decode: decodeTime };
export const optionalText: ValueForm<string | undefined, string> = {
  encode: (text) => text,
  decode: decodeText,
};
export const optionalFlag: ValueForm<boolean | undefined, boolean> = {
  encode: (flag) => flag,
  decode: (flag) => flag || undefined,
};
export const texts: ValueForm<readonly string[], string[]> = {
  encode: (list) => [...list],
  decode: (list) => list,
};

/** By its number in a list of words. */
export function word<W extends string>(words: readonly W[]): ValueForm<W, number> {
  return {
    encode: (each) => encodeWord(words, each),
    decode: (number) => decodeWord(words, number),
  };
}
