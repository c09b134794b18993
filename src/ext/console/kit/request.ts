import type { DescService } from "@bufbuild/protobuf";
import { denied } from "../../../domain/access/access.js";
import type { Action } from "../../../model/access/access.js";
import type { HttpAnswer } from "../../../server/kit.js";
import type { DescribeProvider } from "../../../server/pages/kit.js";
import type { Call } from "../../../service/service.js";
import type { ConsoleSession } from "../sessions/console_sessions.js";

/** A setting of the daemon as its page shows it. */
export interface SettingView {
  readonly group: string;
  readonly name: string;
  /** Never a secret. */
  readonly value: string;
  readonly source: "command line" | "environment" | "default";
  readonly meaning: string;
}

/** One request of a browser that is signed in. */
export interface PageRequest {
  /** By the names in the pattern. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly session: ConsoleSession;
  /** Stands in every form of this session. */
  readonly formToken: string;
  /** Calls an RPC as the session's principal: its permissions, limits and audit are those of any caller. Rejects with a `WireError`. */
  readonly call: Call;
  /** That the person chose; undefined for that of the system. */
  readonly theme: string | undefined;
  /** When the request came. */
  readonly nowMs: number;
  /** Whether the policy lets the principal do it at all: what it may not is not offered. The RPCs judge by themselves. */
  readonly may: (action: Action) => boolean;
  /** Whether this daemon has the extension that serves it. */
  readonly serves: (service: DescService) => boolean;
  readonly describe: DescribeProvider;
  readonly settings: () => readonly SettingView[];
  /** The navigation. */
  readonly sections: readonly Section[];
  /** What waits for the person, by the path of its section; what is not there is 0. */
  readonly waiting: ReadonlyMap<string, number>;
}

/** For pages that call nothing before their forms are sent. @throws PermissionDenied */
export function refuseUnless({ may }: PageRequest, action: Action): void {
  if (!may(action)) throw denied(action);
}

/** Texts of a query or a form, without the spaces around them; empty where there is none. */
export function textsOf<T extends string>(
  given: URLSearchParams,
  names: readonly T[],
): Readonly<Record<T, string>> {
  return Object.fromEntries(names.map((name) => [name, (given.get(name) ?? "").trim()])) as Record<T, string>;
}

export type ConsolePage = (request: PageRequest) => HttpAnswer | Promise<HttpAnswer>;
export type FormAction = (request: PageRequest, form: URLSearchParams) => HttpAnswer | Promise<HttpAnswer>;

/** A part of the console. Keys are paths; `:name` stands for one segment. */
export interface Section {
  /** In the navigation. */
  readonly title: string;
  /** Who may not do it does not see the section in the navigation. */
  readonly action?: Action;
  /** Of an extension: without it there is no such section. */
  readonly service?: DescService;
  /** Where the navigation leads: a key of `pages`. */
  readonly path: string;
  readonly pages: Readonly<Record<string, ConsolePage>>;
  /** Forms, by `POST`. They were sent by a page of this session when they get here. */
  readonly actions?: Readonly<Record<string, FormAction>>;
  /** Counts what waits there for the person, for the navigation of every page: it must cost next to nothing. */
  readonly waiting?: (call: Call) => Promise<number>;
}
