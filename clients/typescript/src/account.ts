import type { ShownConsent } from "./acquire.js";
import { ConsentDenied, ConsentRequired, NexusError, PermissionDenied } from "./errors.js";
import type { Fetch } from "./fetch.js";
import { Nexus, type TokenOptions } from "./nexus.js";
import type { Limits } from "./time_limit.js";
import type { Token } from "./token.js";

/** A tool outlives a restart of the daemon. */
const patienceMs = 30_000;

/** What a tool of an agent framework needs, and where its user is. */
export interface Need {
  readonly scopes?: readonly string[] | undefined;
  /** Tells a second account of the user at the provider apart. */
  readonly label?: string | undefined;
  /** Left out, the tools of a process share one client. */
  readonly nexus?: Nexus | undefined;
  /** Finds the user in the context of the run. Default: its `user`. */
  readonly user?: ((context: unknown) => string) | undefined;
}

/** The account of one user at one provider. */
export class Account {
  /** Each request has the current token, and missing scopes ask the user. */
  readonly fetch: Fetch;

  /** @internal */
  constructor(
    /** @internal */
    readonly nexus: Nexus,
    readonly provider: string,
    /** @internal */
    readonly options: TokenOptions,
  ) {
    this.fetch = nexus.fetch(provider, options);
  }

  get user(): string {
    return this.options.user;
  }

  /** The current token: ask before each request, which costs nothing, and keep none. */
  token(): Promise<Token> {
    return this.nexus.token(this.provider, this.options);
  }
}

/** @throws PermissionDenied when the run has no user */
export function accountOf(provider: string, need: Need, context: unknown, signal?: AbortSignal): Account {
  const { scopes, label, nexus = sharedNexus(), user = userOf } = need;
  const name: unknown = user(context);
  if (typeof name !== "string" || name === "")
    throw new PermissionDenied(`a tool needs the user's ${provider}, and the run has no user`);
  return new Account(nexus, provider, { user: name, label, scopes, signal, timeoutMs: patienceMs });
}

/** The account of a tool whose framework asks the user by an approval, and cannot suspend a tool that runs. */
export class ApprovedAccount {
  /** Scopes that an API missed, by user: the next call asks for them. */
  readonly #missed = new Map<string, readonly string[]>();

  constructor(
    private readonly provider: string,
    private readonly need: Need,
  ) {}

  of(context: unknown, signal?: AbortSignal): Account {
    const account = accountOf(this.provider, this.need, context, signal);
    const scopes = this.#missed.get(account.user);
    return scopes ? accountOf(this.provider, { ...this.need, scopes }, context, signal) : account;
  }

  /** Whether the user must consent first. */
  async needsApproval(context: unknown): Promise<boolean> {
    try {
      await this.of(context).token();
      return false;
    } catch (error) {
      if (isForPerson(error)) return true;
      throw error;
    }
  }

  /**
   * Runs a tool.
   *
   * @throws NexusError when the API wants more scopes: the model reads its message, and its next call asks the user
   */
  async run<OUTPUT>(
    context: unknown,
    signal: AbortSignal | undefined,
    body: (account: Account) => OUTPUT | Promise<OUTPUT>,
  ): Promise<OUTPUT> {
    const account = this.of(context, signal);
    try {
      await account.token();
      const output = await body(account);
      this.#missed.delete(account.user);
      return output;
    } catch (error) {
      if (!isForPerson(error)) throw error;
      this.#missed.set(account.user, [
        ...new Set([...(account.options.scopes ?? []), ...(error.scopes ?? [])]),
      ]);
      throw new CallAgain(account.provider, error);
    }
  }
}

/** What the model reads when a tool that runs needs the user. */
export class CallAgain extends NexusError {
  constructor(provider: string, { reason }: ConsentRequired) {
    super(
      `The user must grant more access to ${provider}. Call this tool again, and the user is asked.`,
      reason,
    );
  }
}

/** What the model reads when the user says no. */
export function declined({ provider }: Account): string {
  return `The user declined to connect ${provider}.`;
}

/** What a standard schema infers, as those of zod; `OTHERWISE` for another schema. */
export type OutputOf<SCHEMA, OTHERWISE> = SCHEMA extends {
  readonly "~standard": { readonly types?: infer TYPES };
}
  ? NonNullable<TYPES> extends { readonly output: infer INPUT }
    ? INPUT
    : never
  : OTHERWISE;

/** Shows a link, or a code, to the user whom it names, and to nobody else. */
export type Show = (
  consent: ShownConsent & { readonly provider: string; readonly user: string },
) => void | Promise<void>;

/** Waits for users: once for each account, and each link is shown once. */
export class Consents {
  readonly #waits = new Map<string, Promise<boolean>>();
  readonly #shown = new Set<string | undefined>();

  constructor(
    private readonly show: Show,
    private readonly limits: Limits,
  ) {}

  /** Whether the user consents. */
  of(account: Account): Promise<boolean> {
    const key = JSON.stringify([account.provider, account.options]);
    const wait = this.#waits.get(key) ?? this.#wait(account);
    this.#waits.set(key, wait);
    return wait;
  }

  async #wait({ nexus, provider, user, options }: Account): Promise<boolean> {
    const onConsent = async (consent: ShownConsent): Promise<void> => {
      const link = consent.authUrl || consent.userCode;
      if (this.#shown.has(link)) return;
      this.#shown.add(link);
      await this.show({ ...consent, provider, user });
    };
    try {
      await nexus.acquire(provider, { ...options, ...this.limits, onConsent });
      return true;
    } catch (error) {
      if (error instanceof ConsentDenied) return false;
      throw error;
    }
  }
}

/** Whether a link or a code helps. */
function isForPerson(error: unknown): error is ConsentRequired {
  return error instanceof ConsentRequired && Boolean(error.authUrl || error.userCode);
}

function userOf(context: unknown): string {
  return ((context ?? {}) as { user: string }).user;
}

let shared: Nexus | undefined;

function sharedNexus(): Nexus {
  shared ??= new Nexus();
  return shared;
}
