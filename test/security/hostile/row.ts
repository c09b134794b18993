import type { DescMessage, JsonObject, Message } from "@bufbuild/protobuf";
import type { Code } from "@connectrpc/connect";

/** Instead of a secret: it must come back in no answer and stand in no log. */
export const canary = "CANARY-c3VwZXJzZWNyZXQ";

/** What is there before the first row, for rows to refer to. */
export interface Place {
  readonly origin: { readonly http: string; readonly browser: string };
  readonly apiKey: string;
  /** Ids of profiles by their type: one of each. */
  readonly providers: Readonly<Record<string, string>>;
  /** Of an active connection of the profile of type `api_key`. */
  readonly activeConnectionId: string;
  /** Of a pending connection of the profile of type `oauth2`. */
  readonly pendingConnectionId: string;
  /** Of a pending request for a credential of type `api_key`. */
  readonly captureState: string;
  /** Of a pending request for consent. */
  readonly consentState: string;
  /** Of the store. */
  readonly epoch: string;
  /** A page token of each list. */
  readonly pageTokens: Readonly<Record<"audit" | "connections" | "providers" | "templates", string>>;
}

/** What must come back. */
export interface Demand {
  /** `Ok` for what is no error: it changes nothing all the same. */
  readonly code: keyof typeof Code | "Ok";
  /** Of `google.rpc.BadRequest`: the error must be at this field. */
  readonly field?: string;
  /** What is said of it: names the limit. */
  readonly says?: RegExp;
  /** The refusal itself may be put on record: an event of the audit log is stored, and nothing else. */
  readonly isAudited?: true;
}

interface Named {
  /** What is hostile about it. */
  readonly name: string;
  /** Fields that the row is about, by their paths in the request; the first is where the error must be, unless `demand` says otherwise. */
  readonly fields: readonly string[];
}

/** The body of an RPC as its type describes it; what the type of the generated code would not let through as well. */
export type Body = Readonly<Record<string, unknown>>;

/** One hostile call of an RPC. */
export interface RpcRow extends Named {
  /** `ProviderService/CreateProvider`. */
  readonly rpc: string;
  /** By gRPC, and by Connect as JSON where JSON can say it. */
  readonly message?: (place: Place) => Body;
  /** By gRPC alone: the bytes of the message. */
  readonly bytes?: (place: Place) => Uint8Array;
  /** By Connect alone: the text of the JSON. */
  readonly json?: (place: Place) => string;
  readonly demand: Demand;
  /** Of a stream: it is served, and begins with this event. */
  readonly event?: string;
}

/** One hostile HTTP request. */
export interface HttpRow extends Named {
  /** `POST /v1/providers` of the table of routes, or `GET /auth/start` of the browser listener. */
  readonly route: string;
  readonly listener: "http" | "browser";
  readonly send: (place: Place) => {
    /** With query; the method is that of `route`. */
    readonly target: string;
    readonly method?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string | Uint8Array;
  };
  readonly status: number;
  /** The stable word of a REST error. */
  readonly error?: string;
  /** Of `details`. */
  readonly field?: string;
  readonly says?: RegExp;
  /** As in `Demand`: the browser listener puts callbacks with unknown states on record. */
  readonly isAudited?: true;
}

export type Descriptor = { readonly input: DescMessage; readonly kind: "unary" | "server_streaming" };
export type { JsonObject, Message };

export function invalid(says: RegExp, field?: string): Demand {
  return { code: "InvalidArgument", says, ...(field === undefined ? {} : { field }) };
}

/** Of what has the wrong type. */
export const badType: Demand = { code: "InvalidArgument" };
export const notFound: Demand = { code: "NotFound" };

/**
 * A hostile call in a table: field, what is hostile about it, the message (a text is JSON, for Connect alone), and what must come back:
 * what is said of the field (or of the one that is named then), or a demand of another kind.
 */
export type Line = readonly [
  field: string | readonly string[],
  name: string,
  message: Body | string | ((place: Place) => Body),
  demand: RegExp | Demand,
  at?: string | undefined,
  event?: string,
];

/** The rows of one RPC. */
export function table(rpc: string, lines: readonly Line[]): RpcRow[] {
  return lines.map(([fields, name, message, demand, at, event]) => ({
    rpc,
    name,
    fields: typeof fields === "string" ? [fields] : fields,
    ...(typeof message === "string" ? { json: () => message } : { message: callable(message) }),
    demand: demand instanceof RegExp ? invalid(demand, at) : demand,
    ...(event === undefined ? {} : { event }),
  }));
}

const callable = (message: Body | ((place: Place) => Body)) =>
  typeof message === "function" ? message : () => message;

export const unknownId = "00000000-0000-4000-8000-000000000000";
export const letters = (count: number): string => "a".repeat(count);
