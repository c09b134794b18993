import { create } from "@bufbuild/protobuf";
import { type Strategy as StrategyMessage, StrategySchema } from "../../gen/nexus/v1/strategy_pb.js";
import type { Strategy } from "../../model/credentials/strategy.js";
import { strategyOfConfig } from "../../model/credentials/strategy_config.js";

export function strategyMessage(strategy: Strategy): StrategyMessage {
  switch (strategy.kind) {
    case "oauth2": {
      const { headerName, valuePrefix, credentialField } = strategy;
      return create(StrategySchema, {
        kind: { case: "oauth2", value: { headerName, valuePrefix, credentialField } },
      });
    }
    case "header": {
      const { headerName, valuePrefix, credentialField } = strategy;
      return create(StrategySchema, {
        kind: { case: "header", value: { headerName, valuePrefix, credentialField } },
      });
    }
    case "query_param": {
      const { paramName, credentialField } = strategy;
      return create(StrategySchema, { kind: { case: "queryParam", value: { paramName, credentialField } } });
    }
    case "basic_auth": {
      const { usernameField, passwordField } = strategy;
      return create(StrategySchema, { kind: { case: "basicAuth", value: { usernameField, passwordField } } });
    }
    case "aws_sigv4": {
      const { service, region } = strategy;
      return create(StrategySchema, { kind: { case: "awsSigv4", value: { service, region } } });
    }
    case "hmac_payload": {
      const { headerName, secretField, algo, encoding } = strategy;
      return create(StrategySchema, {
        kind: { case: "hmacPayload", value: { headerName, secretField, algo, encoding } },
      });
    }
  }
}

/** The strategy of a message, empty fields by their defaults; undefined when none is set. */
export function strategyOf(message: StrategyMessage | undefined): Strategy | undefined {
  const kind = message?.kind;
  switch (kind?.case) {
    case "oauth2":
    case "header": {
      const { headerName, valuePrefix, credentialField } = kind.value;
      const config = { header_name: headerName, credential_field: credentialField };
      return strategyOfConfig(
        kind.case,
        valuePrefix === undefined ? config : { ...config, value_prefix: valuePrefix },
      );
    }
    case "queryParam":
      return strategyOfConfig("query_param", {
        param_name: kind.value.paramName,
        credential_field: kind.value.credentialField,
      });
    case "basicAuth":
      return strategyOfConfig("basic_auth", {
        username_field: kind.value.usernameField,
        password_field: kind.value.passwordField,
      });
    case "awsSigv4":
      return strategyOfConfig("aws_sigv4", { service: kind.value.service, region: kind.value.region });
    case "hmacPayload": {
      const { headerName, secretField, algo, encoding } = kind.value;
      return strategyOfConfig("hmac_payload", {
        header_name: headerName,
        secret_field: secretField,
        algo,
        encoding,
      });
    }
    default:
      return undefined;
  }
}
