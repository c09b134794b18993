import { create, type DescMethodUnary, type Message } from "@bufbuild/protobuf";
import type { CallOptions } from "@connectrpc/connect";
import { callFailure } from "../../../src/cli/shell/call_failure.js";
import type { DaemonSession } from "../../../src/cli/shell/daemon_command.js";
import type { AskApprovers } from "../../../src/domain/access/request_rules.js";
import { readPolicy } from "../../../src/ext/policy/policy_document.js";
import { TokenService } from "../../../src/gen/nexus/v1/token_pb.js";
import type { Principal } from "../../../src/model/access/principal.js";
import { PermissionDenied } from "../../../src/model/errors.js";
import type { CallerTrace } from "../../../src/model/tracing.js";
import { callerTrace } from "../../../src/server/callers/request_headers.js";
import { toConnectError } from "../../../src/server/connect/wire_answer.js";
import type { BoundService } from "../../../src/service/pipeline/bound_service.js";
import { toWireError } from "../../../src/service/pipeline/error_table.js";
import type { WireError } from "../../../src/service/pipeline/wire_error.js";
import { tokenService } from "../../../src/service/services/token_service.js";
import type { Engine } from "../engine.js";

/** What a place shows of a request: nothing, its line, its headers too, or the body too. */
export const sights = ["nothing", "line", "headers", "all"] as const;
export type Sight = (typeof sights)[number];

export interface CellRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export const requests = {
  read: { method: "GET", target: "/v1/user", headers: {}, body: "" },
  write: {
    method: "POST",
    target: "/v1/issues?state=open",
    headers: { "x-mode": "safe", "content-type": "application/json" },
    body: '{"a":1}',
  },
  climb: {
    method: "DELETE",
    target: "/v1/a/..%2fx",
    headers: { "x-http-method": "GET" },
    body: "a long body",
  },
} as const satisfies Record<string, CellRequest>;
export type RequestName = keyof typeof requests;

/** By what a place shows, in the order of `sights`; one word stands for all. */
type Cells = Readonly<Record<RequestName, string>>;
const everywhere = (word: string): Cells => ({ read: word, write: word, climb: word });
const always = (word: string): string => `egress ${word} ${word} ${word}`;

/** Each rule, and what comes of each request at each place. */
const table: readonly (readonly [rules: string, cells: Cells])[] = [
  [
    `[{ when: 'request.method == "GET"', then: allow }]`,
    { read: always("allow"), write: always("deny"), climb: always("unclear") },
  ],
  [
    `[{ when: 'request.path.startsWith("/v1/issues")', then: ask }]`,
    { read: always("deny"), write: "egress body body ask", climb: always("unclear") },
  ],
  [
    `[{ when: 'request.method == "DELETE"', then: deny }, { then: allow }]`,
    { read: always("allow"), write: always("allow"), climb: always("unclear") },
  ],
  [
    `[{ when: 'request.headers["x-mode"] == "safe"', then: allow }]`,
    { read: always("deny"), write: "egress deny allow allow", climb: always("deny") },
  ],
  [
    "[{ when: 'request.size < 10', then: allow }]",
    { read: "egress body body allow", write: "egress body body allow", climb: "egress body body deny" },
  ],
  [
    `[{ when: 'request.body["a"] == "1"', then: allow }]`,
    { read: "egress body body deny", write: "egress body body allow", climb: "egress body body deny" },
  ],
  [
    `[{ when: '"state" in request.query && request.query["state"] == "open"', then: allow }]`,
    { read: always("deny"), write: always("allow"), climb: always("deny") },
  ],
  [
    `[{ when: 'connection.user == "ada" && caller.name.startsWith("jwt:")', then: allow }]`,
    everywhere("allow"),
  ],
  [`[{ when: 'now < timestamp("2020-01-01T00:00:00Z")', then: allow }]`, everywhere("deny")],
  ["[{ then: ask }]", everywhere("egress body body ask")],
  ["[{ providers: [other], then: deny }]", everywhere("allow")],
];

export interface Cell {
  readonly rules: string;
  readonly request: RequestName;
  readonly expected: string;
}

/** The cells of a place that shows so much. */
export function cellsOf(sight: Sight): Cell[] {
  return table.flatMap(([rules, cells]) =>
    (Object.entries(cells) as [RequestName, string][]).map(([request, text]) => {
      const words = text.split(" ");
      return { rules, request, expected: words[sights.indexOf(sight)] ?? words[0] ?? "" };
    }),
  );
}

export const agent: Principal = { name: "jwt:agent", kind: "jwt" };
export const proxy: Principal = { name: "jwt:proxy", kind: "jwt" };

export const policyOf = (rules: string) => readPolicy(policyText(rules));

export function policyText(rules: string): string {
  return `bindings: [{ principals: ["jwt:*"], role: agent, user_ids: ["*"] }]
proxies: [jwt:proxy]
rules: ${rules}
`;
}

/** A person who says no, so that it shows that somebody was asked. */
export const nobodyAgrees: AskApprovers = async () => new PermissionDenied("a person said no");

/** The word of the table for how a place ends. */
export async function wordFor(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt;
    return "allow";
  } catch (error) {
    const { message } = error as Error;
    if (/said no/.test(message)) return "ask";
    if (/gets no token, because rules check/.test(message)) return "egress";
    if (/in several ways, and .* by it: send it in its plain form/.test(message)) return "unclear";
    if (/goes by its body/.test(message)) return "body";
    if (/denies this request|no rule of the policy file allows/.test(message)) return "deny";
    throw error;
  }
}

/** The daemon as a command has it, in this process. */
export function sessionFor(engine: Engine, principal: Principal, more: object = {}): DaemonSession {
  type Method = (request: object, options?: CallOptions) => Promise<unknown>;
  const call = async (doing: string, method: Method, request: object, options?: CallOptions) => {
    try {
      return await method(request, options);
    } catch (error) {
      throw callFailure(error, doing, "the test");
    }
  };
  const { acquireToken, getToken } = TokenService.method;
  const via =
    (method: DescMethodUnary) =>
    async (request: Record<string, unknown>, { headers }: CallOptions = {}) => {
      const trace = callerTrace(new Headers(headers).get("traceparent"), "");
      try {
        return await callToken(engine, method, request, principal, trace);
      } catch (error) {
        throw toConnectError(toWireError(error) as WireError);
      }
    };
  const tokens = { acquireToken: via(acquireToken), getToken: via(getToken) };
  return { daemon: { tokens, ...more }, call } as unknown as DaemonSession;
}

/** A call of the token service, in this process. */
export async function callToken(
  engine: Engine,
  method: DescMethodUnary,
  request: Record<string, unknown>,
  principal: Principal,
  trace?: CallerTrace,
): Promise<Message> {
  const rpc = tokenServiceOf(engine).methods.find(({ descriptor }) => descriptor === method);
  if (rpc?.kind !== "unary") throw new Error("no such RPC");
  return rpc.call(create(method.input, request), { principal, trace, signal: new AbortController().signal });
}

/** The token service as a daemon without listeners has it. */
export function tokenServiceOf({ access, rules, tokens, acquirer, names }: Engine): BoundService {
  const parts = { access, rules, tokens, acquirer, names };
  return tokenService(parts as unknown as Parameters<typeof tokenService>[0]);
}
