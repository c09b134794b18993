/** `oidc-provider` ships no types. These are the parts of version 9 that `openid_provider.ts` uses, and no more. */
declare module "oidc-provider" {
  import type { EventEmitter } from "node:events";
  import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";

  export type StoredPayload = Record<string, unknown>;

  export interface Adapter {
    upsert(id: string, payload: StoredPayload, expiresIn?: number): Promise<void>;
    find(id: string): Promise<StoredPayload | undefined>;
    findByUid(uid: string): Promise<StoredPayload | undefined>;
    findByUserCode(userCode: string): Promise<StoredPayload | undefined>;
    consume(id: string): Promise<void>;
    destroy(id: string): Promise<void>;
    revokeByGrantId(grantId: string): Promise<void>;
  }

  export interface Grant {
    addOIDCScope(scope: string): void;
    addOIDCClaims(claims: string[]): void;
    addResourceScope(resource: string, scope: string): void;
    save(): Promise<string>;
  }

  export interface Client {
    readonly clientId: string;
    grantTypeAllowed(grantType: string): boolean;
  }

  export interface KoaContext {
    readonly path: string;
    readonly method: string;
    type: string;
    body: unknown;
    readonly oidc: {
      readonly provider: Provider;
      readonly result?: { readonly consent?: { readonly grantId?: string } };
    };
  }

  export interface Interaction {
    readonly uid: string;
    readonly prompt: {
      readonly name: string;
      readonly details: {
        readonly missingOIDCScope?: string[];
        readonly missingOIDCClaims?: string[];
        readonly missingResourceScopes?: Readonly<Record<string, string[]>>;
      };
    };
    readonly params: Readonly<Record<string, unknown>>;
    readonly session?: { readonly accountId?: string };
  }

  export interface InteractionResult {
    login?: { accountId: string };
    consent?: { grantId: string };
    error?: string;
    error_description?: string;
  }

  export interface Account {
    accountId: string;
    claims(use: string, scope: string): Record<string, unknown>;
  }

  export interface Configuration {
    conformIdTokenClaims?: boolean;
    adapter: (model: string) => Adapter;
    jwks: { keys: Record<string, unknown>[] };
    cookies: { keys: string[] };
    scopes: string[];
    claims: Record<string, string[]>;
    responseTypes: string[];
    clientAuthMethods: string[];
    pkce: { required: () => boolean };
    features: Record<string, Record<string, unknown>>;
    ttl: Record<string, number>;
    rotateRefreshToken: boolean;
    issueRefreshToken: (ctx: KoaContext, client: Client) => Promise<boolean>;
    expiresWithSession: () => Promise<boolean>;
    loadExistingGrant: (ctx: KoaContext) => Promise<Grant | undefined>;
    findAccount: (ctx: KoaContext, id: string) => Promise<Account | undefined>;
    interactions: { url: (ctx: KoaContext, interaction: Interaction) => Promise<string> };
    fetch?: typeof fetch;
    clientBasedCORS: () => boolean;
    renderError: (ctx: KoaContext, out: Record<string, unknown>) => Promise<void>;
  }

  export class Provider extends EventEmitter {
    constructor(issuer: string, configuration: Configuration);
    silent: boolean;
    /** Whether it believes `X-Forwarded-*`. */
    proxy: boolean;
    readonly Grant: {
      new (properties: { accountId: string; clientId: string }): Grant;
      find(id: string): Promise<Grant | undefined>;
    };
    use(middleware: (ctx: KoaContext, next: () => Promise<void>) => Promise<void>): this;
    callback(): RequestListener;
    interactionDetails(request: IncomingMessage, response: ServerResponse): Promise<Interaction>;
    interactionFinished(
      request: IncomingMessage,
      response: ServerResponse,
      result: InteractionResult,
      options?: { mergeWithLastSubmission?: boolean },
    ): Promise<void>;
  }
}
