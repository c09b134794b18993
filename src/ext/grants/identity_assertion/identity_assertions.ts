import { RequestSlots } from "../../../domain/grants/grants.js";
import type { GrantParts, RefreshRequest } from "../../../domain/token_endpoint/token_endpoint.js";
import type { TokenSet } from "../../../model/credentials/credentials.js";
import { NexusError } from "../../../model/model.js";
import { GrantFailure, IdentityRequired, jwtExpiryMs, type MintedToken } from "../../../oauth/oauth.js";
import { BoundedMap, type Secret } from "../../../runtime/runtime.js";
import { requestIdJag } from "./id_jag.js";
import type { IdentitySubject, IdentitySubjects } from "./identity_subjects.js";

interface HeldAssertion {
  readonly assertion: Secret;
  readonly endMs: number;
}

/** Assertions kept: a few MiB at most. */
const maxHeld = 1_024;
/** An assertion whose end nobody says is presented for so long. */
const unknownLifetimeMs = 60_000;
/** It must live so long to be presented again. */
const leadMs = 10_000;

/**
 * Assertions of identity providers. The same one is presented until it ends. They have request slots of their own: a mint that holds a slot
 * at its provider waits for them, and must not wait for a slot that another mint holds.
 */
export class IdentityAssertions {
  readonly #held = new BoundedMap<string, HeldAssertion>(maxHeld);
  readonly #slots: RequestSlots<Secret>;

  constructor(private readonly deps: GrantParts & { readonly subjects: IdentitySubjects }) {
    this.#slots = new RequestSlots(deps.clock);
  }

  /** The one at hand while it lives, else another. @throws GrantFailure, of class `IdentityRequired` where the user must act */
  async current(request: RefreshRequest): Promise<{ readonly assertion: Secret; readonly isFresh: boolean }> {
    const subject = this.deps.subjects.of(request.profile, request);
    const held = this.#held.get(keyOf(request, subject));
    if (held && held.endMs - leadMs > this.deps.clock.nowMs())
      return { assertion: held.assertion, isFresh: false };
    return { assertion: await this.#fresh(request, subject), isFresh: true };
  }

  /** Another one. @throws as `current` */
  async renewed(request: RefreshRequest): Promise<Secret> {
    return await this.#fresh(request, this.deps.subjects.of(request.profile, request));
  }

  async #fresh(request: RefreshRequest, subject: IdentitySubject): Promise<Secret> {
    const key = keyOf(request, subject);
    return await this.#slots.refresh(subject.profile.id, key, "demand", async () => {
      try {
        const { tokenSet } = await this.#ask(request, subject);
        this.#held.set(key, {
          assertion: tokenSet.accessToken,
          endMs: endOf(tokenSet, this.deps.clock.nowMs()),
        });
        return tokenSet.accessToken;
      } catch (error) {
        this.#held.delete(key);
        if (error instanceof GrantFailure) throw atIdentityProvider(error, subject.profile.name);
        throw error;
      }
    });
  }

  /** The request at the identity provider. @throws GrantFailure */
  async #ask(
    { profile: resource, server, scopes }: RefreshRequest,
    subject: IdentitySubject,
  ): Promise<MintedToken> {
    const { servers, grants } = this.deps;
    const { profile, idToken } = subject;
    try {
      const request = { server: await servers.resolve(profile), profile };
      return await grants.mint(request, (common) =>
        requestIdJag({
          ...common,
          audience: server.issuer ?? resource.issuer,
          resource: resource.oauth2.resource,
          ...{ scopes, idToken },
        }),
      );
    } catch (error) {
      if (!(error instanceof NexusError)) throw error;
      const kind = error.kind === "unavailable" ? "transient" : "client";
      throw new GrantFailure({ kind, detail: error.message });
    }
  }
}

function keyOf({ profile, scopes }: RefreshRequest, { profile: from, connection }: IdentitySubject): string {
  const { resource } = profile.oauth2;
  const place = [profile.id, profile.issuer, profile.clientId, resource, String(from.version)];
  return JSON.stringify([...place, connection.id, connection.subject ?? "", ...scopes]);
}

function endOf({ accessToken: assertion, expiresInMs }: TokenSet, nowMs: number): number {
  const says = expiresInMs === undefined ? undefined : nowMs + expiresInMs;
  return says ?? jwtExpiryMs(assertion.reveal(), nowMs) ?? nowMs + unknownLifetimeMs;
}

/** Distinguishes the response of the identity provider, or its absence, from that of the profile's own server. */
export function atIdentityProvider(failure: GrantFailure, name: string): GrantFailure {
  const { oauthError, httpStatus, kind } = failure;
  // RFC 9470 section 3: the person must prove more.
  if (kind === "invalid_grant" || oauthError === "insufficient_user_authentication") {
    const words = `the identity provider ${name} takes the id_token no more (${oauthError ?? httpStatus ?? "refused"}): connect ${name} again`;
    return new IdentityRequired(words, { oauthError, httpStatus });
  }
  const reported = failure.detail ?? failure.network?.words;
  const detail = `at the identity provider ${name}${reported === undefined ? "" : `: ${reported}`}`;
  return new GrantFailure({ ...failure, detail });
}
