// Copied from src/strategies/strategy_shapes.ts by `npm run generate`; edit that.
import { hmacAlgos, hmacEncodings, type Strategy } from "./strategy.js";
import { strategyOfConfig } from "./strategy_config.js";
import { headerNameViolation } from "./header_name.js";
import { StrategyError } from "./strategy_error.js";

/** The `strategy` of `GET /v1/token/{id}`. */
export interface RestStrategy {
  readonly type: string;
  readonly config?: object;
}

/** The `strategy` of a `Token` as protobuf-es generates `nexus.v1.Strategy`. */
export interface StrategyMessage {
  readonly kind:
    | { readonly case: string; readonly value: object }
    | { readonly case: undefined; readonly value?: undefined };
}

/** The `strategy` of a `Token` in protobuf JSON, as the Connect protocol answers it: `{"header": {"headerName": ...}}`. */
export type StrategyJson = Readonly<Record<string, object>>;

/** A strategy in each of the shapes in which an agent gets one. */
export type AnyStrategy = Strategy | RestStrategy | StrategyMessage | StrategyJson;

/** @throws StrategyError when it is none, or names what it needs nowhere */
export function strategyOfShape(shape: AnyStrategy): Strategy {
  const { kind, fields } = partsOf(shape);
  const config: Record<string, string> = {};
  for (const [name, value] of Object.entries(fields))
    if (typeof value === "string") config[snakeCase(name)] = value;
  const strategy = strategyOfConfig(snakeCase(kind), config);
  if (!strategy) throw new StrategyError("invalid_strategy", "strategy", "is of no kind that is known here");
  refuseViolations(strategy);
  return strategy;
}

function partsOf(shape: object): { readonly kind: string; readonly fields: object } {
  if ("kind" in shape) {
    const { kind } = shape;
    if (typeof kind === "string") return { kind, fields: shape };
    if (isObject(kind) && "case" in kind && typeof kind.case === "string" && "value" in kind) {
      return { kind: kind.case, fields: isObject(kind.value) ? kind.value : {} };
    }
  } else if ("type" in shape) {
    const fields = "config" in shape && isObject(shape.config) ? shape.config : {};
    if (typeof shape.type === "string") return { kind: shape.type, fields };
  } else {
    const [only, ...more] = Object.entries(shape);
    if (only && more.length === 0 && isObject(only[1])) return { kind: only[0], fields: only[1] };
  }
  throw new StrategyError("invalid_strategy", "strategy", "names no kind");
}

function refuseViolations(strategy: Strategy): void {
  const refuse = (field: string, description: string): never => {
    throw new StrategyError("invalid_strategy", field, description);
  };
  const nameViolation = "headerName" in strategy ? headerNameViolation(strategy.headerName) : undefined;
  if (nameViolation !== undefined) refuse("header_name", nameViolation);
  if (strategy.kind === "query_param" && strategy.paramName === "") refuse("param_name", "is required");
  if (strategy.kind === "aws_sigv4" && strategy.service === "") refuse("service", "is required");
  if (strategy.kind === "hmac_payload") {
    if (!hmacAlgos.includes(strategy.algo)) refuse("algo", `must be one of ${hmacAlgos.join(", ")}`);
    if (!hmacEncodings.includes(strategy.encoding)) {
      refuse("encoding", `must be one of ${hmacEncodings.join(", ")}`);
    }
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
