import { usageFailure } from "../../../cli/kit.js";
import {
  canonicalTarget,
  describedUrl,
  isMethodParameter,
  isReadOnly,
  isWithinMethods,
  queryOf,
  readsOnly,
} from "../../../model/access/access.js";

/** Who acts. */
export interface ActingUser {
  /** On whose behalf every tool acts; undefined where the model names the user. */
  readonly userId: string | undefined;
  /** Whether only the login name determines it: a key for another user says more. */
  readonly isLoginName: boolean;
}

/** What the person who starts the server lets the model do. */
export interface McpPolicy extends ActingUser {
  /** Names of the providers that the model sees; empty for all. */
  readonly providers: readonly string[];
  /** Methods of `call_api` in capitals; empty for all. */
  readonly methods: readonly string[];
  /** Hosts of API base URLs, with the port if it is not that of the scheme; empty for those of all providers. */
  readonly hosts: readonly string[];
  /** Bytes of an answer's body that the model gets. */
  readonly maxAnswerBytes: number;
  /** Whether there is the tool `get_token`. */
  readonly givesTokens: boolean;
}

/** An answer beyond it costs a model more than it can read. */
export const defaultMaxAnswerBytes = 64 * 1024;

export function refuseProvider(policy: McpPolicy, name: string): void {
  if (mayUseProvider(policy, name)) return;
  throw usageFailure(
    `the provider ${name} is not among those of this server: ${policy.providers.join(", ")}`,
  );
}

export function mayUseProvider({ providers }: McpPolicy, name: string): boolean {
  return providers.length === 0 || providers.includes(name);
}

export function refuseMethod({ methods }: McpPolicy, method: string): void {
  if (methods.length === 0 || methods.includes(method) || isReadOnly(methods)) return;
  throw usageFailure(
    `the method ${method} is not allowed by this server, only ${methods.join(", ")}: the person who starts it allows others with --method`,
  );
}

/** Refuses a request that writes by a method that reads at other APIs, and one that names another method in its query. @throws CommandFailure */
export function refuseWriting({ methods }: McpPolicy, method: string, url: string): void {
  if (methods.length === 0) return;
  const { host, target } = describedUrl(url);
  const query = queryOf(target);
  const reads = readsOnly({ method, host, ...canonicalTarget(target), query });
  const isOverridden = [...query.keys()].some(isMethodParameter);
  if (!isOverridden && isWithinMethods(methods, { method, reads }) === true) return;
  throw usageFailure(
    `at ${host} this request may do more than ${methods.join(", ")}, which alone this server allows: the person who starts it allows others with --method`,
  );
}

export function refuseHost({ hosts }: McpPolicy, url: URL): void {
  if (hosts.length === 0 || hosts.includes(url.host)) return;
  throw usageFailure(
    `the host ${url.host} is not allowed by this server, only ${hosts.join(", ")}: the person who starts it allows others with --host`,
  );
}
