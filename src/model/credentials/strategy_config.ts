import {
  bearerStrategy,
  type HmacAlgo,
  type HmacEncoding,
  hmacAlgos,
  hmacEncodings,
  type Strategy,
} from "./strategy.js";

/** The strategy's own fields by their names on the wire (`header_name`, ...). */
export function strategyConfig(strategy: Strategy): Record<string, string> {
  switch (strategy.kind) {
    case "oauth2":
    case "header":
      return {
        header_name: strategy.headerName,
        value_prefix: strategy.valuePrefix,
        credential_field: strategy.credentialField,
      };
    case "query_param":
      return { param_name: strategy.paramName, credential_field: strategy.credentialField };
    case "basic_auth":
      return { username_field: strategy.usernameField, password_field: strategy.passwordField };
    case "aws_sigv4":
      return { service: strategy.service, region: strategy.region };
    case "hmac_payload":
      return {
        header_name: strategy.headerName,
        secret_field: strategy.secretField,
        algo: strategy.algo,
        encoding: strategy.encoding,
      };
  }
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
  const read = (name: string, fallback: string): string => {
    const value = Object.hasOwn(config, name) ? config[name] : undefined;
    return value === undefined || value === "" ? fallback : value;
  };
  switch (kind) {
    case "oauth2":
      return {
        kind,
        headerName: read("header_name", bearerStrategy.headerName),
        valuePrefix: Object.hasOwn(config, "value_prefix")
          ? (config["value_prefix"] ?? "")
          : bearerStrategy.valuePrefix,
        credentialField: read("credential_field", bearerStrategy.credentialField),
      };
    case "header":
      return {
        kind,
        headerName: read("header_name", "Authorization"),
        valuePrefix: read("value_prefix", ""),
        credentialField: read("credential_field", "api_key"),
      };
    case "query_param":
      return {
        kind,
        paramName: read("param_name", ""),
        credentialField: read("credential_field", "api_key"),
      };
    case "basic_auth":
      return {
        kind,
        usernameField: read("username_field", "username"),
        passwordField: read("password_field", "password"),
      };
    case "aws_sigv4":
      return { kind, service: read("service", ""), region: read("region", "us-east-1") };
    case "hmac_payload":
      return {
        kind,
        headerName: read("header_name", ""),
        secretField: read("secret_field", "api_secret"),
        algo: read("algo", hmacAlgos[0]) as HmacAlgo,
        encoding: read("encoding", hmacEncodings[0]) as HmacEncoding,
      };
    default:
      return undefined;
  }
}
