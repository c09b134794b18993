import type {
  DescMessage,
  DescMethodServerStreaming,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { denied } from "../../../domain/access/access_control.js";
import type { Action } from "../../../model/access/access_table.js";
import type { Clock } from "../../../runtime/clock.js";
import type { StreamSink, StreamSource } from "../../../runtime/stream_sink.js";
import type { Answer } from "../../../server/listen/http_listener.js";
import type { DescribeProvider } from "../../../server/pages/page_words.js";
import type { Call } from "../../../service/pipeline/rpc_call.js";
import type { ConsoleSession } from "../sessions/console_sessions.js";

/** Opens a stream of the contract as the session's principal. Never throws: an error ends the sink. */
export type OpenStream = <I extends DescMessage, O extends DescMessage>(
  method: DescMethodServerStreaming<I, O>,
  request: MessageInitShape<I>,
  sink: StreamSink<MessageShape<O>>,
) => StreamSource;

/** One request of a browser that is signed in. */
export interface ConsoleVisit {
  /** As the pattern of the route matched it, percent-encoding undone. */
  readonly path: string;
  /** By the names in braces of the pattern. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly session: ConsoleSession;
  /** Stands in every form of this session, see `postForm`. */
  readonly formToken: string;
  /** Calls an RPC as the session's principal: its permissions, limits and audit are those of any caller. Rejects with a `WireError`. */
  readonly call: Call;
  readonly open: OpenStream;
  /** When the request came. */
  readonly nowMs: number;
  /** Whether the policy lets the principal do it at all: what it may not is not offered. The RPCs judge by themselves. */
  readonly may: (action: Action) => boolean;
  readonly describe: DescribeProvider;
  /** For what lasts longer. */
  readonly clock: Clock;
  /** For the navigation. */
  readonly rooms: readonly ConsoleRoom[];
}

/** For pages that call nothing before their forms are sent. @throws PermissionDenied */
export function refuseUnless({ may }: ConsoleVisit, action: Action): void {
  if (!may(action)) throw denied(action);
}

export type ConsolePage = (visit: ConsoleVisit) => Answer | Promise<Answer>;
export type ConsoleAction = (visit: ConsoleVisit, form: URLSearchParams) => Promise<Answer>;

/** A part of the console. Keys are paths; `{name}` stands for one segment. */
export interface ConsoleRoom {
  /** In the navigation. */
  readonly title: string;
  /** Who may not do it does not see the room in the navigation. */
  readonly action?: Action;
  /** Where the navigation leads: a key of `pages`. */
  readonly path: string;
  readonly pages: Readonly<Record<string, ConsolePage>>;
  /** Forms, by `POST`. They were sent by a page of this session when they get here. */
  readonly actions?: Readonly<Record<string, ConsoleAction>>;
  /** Server-Sent Events, for the script. */
  readonly streams?: Readonly<Record<string, ConsolePage>>;
}
