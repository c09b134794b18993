import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Page } from "playwright-core";
import type { ProviderSchema } from "../../src/gen/nexus/v1/provider_pb.js";

export const clientId = "nexus-under-test";
export const password = "correct-horse-9";

/** People with an account at every server, all with `password`. Whoever's grant is ended elsewhere has no other connection. */
export const people = ["ada", "bea", "cem", "dan", "eve", "fay", "gus"] as const;
export type Person = (typeof people)[number];

export const lifetimeSeconds = 30;

/** A server that a team elsewhere wrote, and what is known of it. */
export interface ForeignServer {
  readonly name: string;
  /** What becomes of the newest refresh token when a used one is presented, and why. */
  readonly reuse: Expected<"ends the grant" | "is refused">;
  /** The problem of a connection whose refresh token the server takes no more, and why. */
  readonly deadToken: Expected<"reauth_required" | "refresh_refused">;
  /** What comes of a connection whose refresh was sent with a wrong client secret, and why. */
  readonly wrongSecret: Expected<"misconfigured" | "the grant ends">;
  /** What comes of a connection whose rotated token set was lost with the answer, and why. */
  readonly lostAnswer: Expected<"outcome_unknown" | "active">;
  /** Names what is not on this machine and cannot be installed without root. */
  missing(): readonly string[];
  /** Installs what needs no root. Nothing else runs meanwhile. */
  install(): Promise<void>;
  /** @param port where it is to listen on 127.0.0.1 @param origin where the world believes it to be */
  start(port: number, origin: string): Promise<RunningServer>;
}

export interface Expected<T extends string> {
  readonly is: T;
  /** A sentence with the rule, or the line of the server, from which it follows. */
  readonly because: string;
}

export interface RunningServer {
  /** The profile as a person makes it out of the server's documentation, without a client. */
  readonly profile: MessageInitShape<typeof ProviderSchema>;
  /** Registers the client `clientId`. */
  register(redirectUri: string, clientSecret: string): Promise<void>;
  changeSecret(clientSecret: string): Promise<void>;
  /** From the login page to the last click; the browser leaves for the callback then. */
  consent(page: Page, person: Person): Promise<void>;
  /** Ends what the person granted to the client, at the server itself. */
  endGrant(person: Person): Promise<void>;
  /** Clients of its own that need no person, and the profile of each without its endpoints; left out where the suite has none there. */
  registerMachines?(): Promise<
    readonly Exclude<MessageInitShape<typeof ProviderSchema>, { $typeName: string }>[]
  >;
  /**
   * A client that exchanges tokens (RFC 8693), as `registerMachines`, and the audiences that its two scopes are for; left out where the
   * server has no token exchange.
   */
  registerExchanger?(): Promise<{
    readonly profile: Exclude<MessageInitShape<typeof ProviderSchema>, { $typeName: string }>;
    /** Audience by scope. */
    readonly audiences: Readonly<Record<string, string>>;
  }>;
  /**
   * A client whose tokens are bound to keys (RFC 9449), which signs what it is (RFC 7523), must sign and push its requests (RFC 9101, RFC
   * 9126), and gets signed responses (JARM); left out where the server knows none.
   */
  makeBound?(): Promise<{
    readonly profile: Exclude<MessageInitShape<typeof ProviderSchema>, { $typeName: string }>;
    register(redirectUri: string): Promise<void>;
  }>;
  /** A public client for device authorization (RFC 8628), whose tokens are bound; left out likewise. */
  registerDevice?(): Promise<Exclude<MessageInitShape<typeof ProviderSchema>, { $typeName: string }>>;
  /** From the page with the code in it to the last click. */
  enterCode?(page: Page, person: Person): Promise<void>;
  /** Whether a protected resource takes a bound token with a proof. */
  isProved?(accessToken: string, prove: (method: string, url: string) => Promise<string>): Promise<boolean>;
  /** Whether a protected resource of the server, or its introspection, takes the token. */
  isAlive(accessToken: string): Promise<boolean>;
  stop(): Promise<void>;
}
