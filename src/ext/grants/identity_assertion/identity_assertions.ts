import type { CredentialVault } from "../../../domain/credentials/credential_vault.js";
import { ProviderConcurrency } from "../../../domain/refresh/limits/provider_concurrency.js";
import type { AssertionFiles } from "../../../domain/token_endpoint/assertion_files.js";
import type { ClientKeys } from "../../../domain/token_endpoint/client_keys.js";
import type { AssertionSource } from "../../../domain/token_endpoint/grant_types.js";
import type { IssuerMetadata } from "../../../domain/token_endpoint/issuer_metadata.js";
import type { KeyFiles } from "../../../domain/token_endpoint/key_files.js";
import { OAuthClients } from "../../../domain/token_endpoint/oauth_clients.js";
import type { AssertedRequest } from "../../../domain/token_endpoint/token_endpoint_client.js";
import { NexusError } from "../../../model/errors.js";
import { jwtExpiryMs } from "../../../oauth/access_token.js";
import { presentingCertificate } from "../../../oauth/clients/client_certificate.js";
import { GrantFailure } from "../../../oauth/failure.js";
import { atIdentityProvider } from "../../../oauth/identity_required.js";
import type { OutboundFetch } from "../../../outbound/outbound.js";
import { BoundedMap } from "../../../runtime/bounded_map.js";
import type { Clock } from "../../../runtime/clock.js";
import type { Secret } from "../../../runtime/secret.js";
import { type IdJag, requestIdJag } from "./id_jag.js";
import type { IdentitySubject, IdentitySubjects } from "./identity_subjects.js";

interface Held {
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
 * Assertions of identity providers. The same one is presented until it ends. They are asked for in places of their own: a mint that has
 * a place at its provider waits for them, and must not wait for a place that another mint has.
 */
export class IdentityAssertions {
  readonly #held = new BoundedMap<string, Held>(maxHeld);
  readonly #places = new ProviderConcurrency<Secret>();
  readonly #clients: OAuthClients;

  constructor(
    private readonly deps: {
      readonly vault: CredentialVault;
      readonly clientKeys?: Pick<ClientKeys, "signingKey">;
      readonly assertionFiles?: Pick<AssertionFiles, "read">;
      readonly keyFiles?: Pick<KeyFiles, "read">;
      readonly subjects: Pick<IdentitySubjects, "of">;
      readonly servers: Pick<IssuerMetadata, "resolve">;
      readonly clock: Clock;
      readonly outbound: OutboundFetch;
    },
  ) {
    this.#clients = new OAuthClients(deps);
  }

  /** Of a profile of the grant type `identity_assertion`. */
  sourceFor(request: AssertedRequest): AssertionSource {
    const { clock, subjects } = this.deps;
    return {
      current: async () => {
        const subject = subjects.of(request.profile, request);
        const held = this.#held.get(keyOf(request, subject));
        if (held && held.endMs - leadMs > clock.nowMs()) return { assertion: held.assertion, isFresh: false };
        return { assertion: await this.#fresh(request, subject), isFresh: true };
      },
      renewed: async () => await this.#fresh(request, subjects.of(request.profile, request)),
    };
  }

  async #fresh(request: AssertedRequest, subject: IdentitySubject): Promise<Secret> {
    const key = keyOf(request, subject);
    return await this.#places.run(subject.profile.id, key, "demand", async () => {
      try {
        const idJag = await this.#ask(request, subject);
        const { clock } = this.deps;
        const nowMs = clock.nowMs();
        this.#held.set(key, { assertion: idJag.assertion, endMs: endOf(idJag, nowMs) });
        return idJag.assertion;
      } catch (error) {
        this.#held.delete(key);
        if (error instanceof GrantFailure) throw atIdentityProvider(error, subject.profile.name);
        throw error;
      }
    });
  }

  /** The request at the identity provider. @throws GrantFailure */
  async #ask(
    { profile: resource, server, scopes }: AssertedRequest,
    subject: IdentitySubject,
  ): Promise<IdJag> {
    const { servers, clock, outbound } = this.deps;
    const { profile, idToken } = subject;
    try {
      const client = this.#clients.open(profile);
      return await requestIdJag({
        server: await servers.resolve(profile),
        client,
        options: profile.oauth2,
        audience: server.issuer ?? resource.issuer,
        resource: resource.oauth2.resource,
        ...{ scopes, idToken, clock },
        fetch: presentingCertificate(outbound, client.certificate, clock),
      });
    } catch (error) {
      if (!(error instanceof NexusError)) throw error;
      const kind = error.kind === "unavailable" ? "transient" : "client";
      throw new GrantFailure({ kind, detail: error.message });
    }
  }
}

function keyOf({ profile, scopes }: AssertedRequest, { profile: from, connection }: IdentitySubject): string {
  const { resource } = profile.oauth2;
  const place = [profile.id, profile.issuer, profile.clientId, resource, String(from.version)];
  return JSON.stringify([...place, connection.id, connection.subject ?? "", ...scopes]);
}

function endOf({ assertion, expiresInMs }: IdJag, nowMs: number): number {
  const says = expiresInMs === undefined ? undefined : nowMs + expiresInMs;
  return says ?? jwtExpiryMs(assertion.reveal(), nowMs) ?? nowMs + unknownLifetimeMs;
}
