import type { JsonObject } from "../json.js";
import type { Strategy } from "./strategy.js";

/** A field of a static credential that a strategy reads. */
export interface CredentialField {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** Never returned once it was entered. */
  readonly isSecret: boolean;
  readonly isOptional: boolean;
  /** Whether the empty string is a value. */
  readonly mayBeEmpty: boolean;
  /**
   * The rule for a value. `header` goes into a header field as it is (RFC 9110 section 5.5), and `basic` and `basic_user` into Basic
   * credentials (RFC 7617 section 2). `any` is encoded or never sent.
   */
  readonly carrier: "header" | "basic_user" | "basic" | "any";
}

/** The fields that `strategy` reads, in the order in which a person is asked; none for `oauth2`. */
export function credentialFields(strategy: Strategy): readonly CredentialField[] {
  const secret = { isSecret: true, isOptional: false, mayBeEmpty: false } as const;
  switch (strategy.kind) {
    case "oauth2":
      return [];
    case "header":
    case "query_param": {
      const carrier = strategy.kind === "header" ? "header" : "any";
      const description = "The key that the provider issued.";
      return [{ ...secret, name: strategy.credentialField, title: "API key", description, carrier }];
    }
    case "basic_auth": {
      const user = { isSecret: false, isOptional: false, mayBeEmpty: false } as const;
      return [
        { ...user, name: strategy.usernameField, title: "User name", description: "", carrier: "basic_user" },
        {
          ...secret,
          mayBeEmpty: true,
          name: strategy.passwordField,
          title: "Password",
          description: "Leave it empty if the account has none.",
          carrier: "basic",
        },
      ];
    }
    case "aws_sigv4":
      return awsFields;
    case "hmac_payload": {
      const description = "The secret that requests are signed with.";
      return [{ ...secret, name: strategy.secretField, title: "API secret", description, carrier: "any" }];
    }
  }
}

const awsFields: readonly CredentialField[] = [
  {
    name: "access_key",
    title: "Access key ID",
    description: "",
    isSecret: false,
    isOptional: false,
    mayBeEmpty: false,
    carrier: "header",
  },
  {
    name: "secret_key",
    title: "Secret access key",
    description: "",
    isSecret: true,
    isOptional: false,
    mayBeEmpty: false,
    carrier: "any",
  },
  {
    name: "session_token",
    title: "Session token",
    description: "Only for temporary credentials.",
    isSecret: true,
    isOptional: true,
    mayBeEmpty: false,
    carrier: "header",
  },
];

/** The JSON Schema of `credentialFields`: what a profile without a `credential_schema` asks for. */
export function defaultSchemaOf(strategy: Strategy): JsonObject {
  const fields = credentialFields(strategy);
  const properties = fields.map(({ name, title, description, isSecret, isOptional, mayBeEmpty }) => [
    name,
    {
      type: "string",
      title,
      ...(description === "" ? {} : { description }),
      ...(isSecret ? { format: "password", writeOnly: true } : {}),
      ...(isOptional || mayBeEmpty ? {} : { minLength: 1 }),
    },
  ]);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    type: "object",
    properties: Object.fromEntries(properties),
    required: [...new Set(fields.filter(({ isOptional }) => !isOptional).map(({ name }) => name))],
    additionalProperties: false,
  };
}
