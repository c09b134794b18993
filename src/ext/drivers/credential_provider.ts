import { create, type Message, type MessageShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { Access } from "../../domain/access/access.js";
import {
  CredentialProvider,
  type FetchSecretRequestSchema,
  FetchSecretResponseSchema,
} from "../../gen/credprovider/credprovider_pb.js";
import type { Token } from "../../gen/nexus/v1/token_pb.js";
import { at, by, type Principal } from "../../model/access/access.js";
import { type ConnectionName, parseNamePath } from "../../model/connections/connections.js";
import { InvalidArgument, PermissionDenied } from "../../model/model.js";
import type { Clock } from "../../runtime/runtime.js";
import type { OpenServices } from "../../server/kit.js";
import {
  type BoundService,
  type Call,
  type CallContext,
  callerOf,
  codes,
  toWireError,
  WireError,
} from "../../service/service.js";
import { acquirer, MetadataRefusal } from "./acquire.js";
import type { SubstrateSettings } from "./substrate_settings.js";

/** How long a gateway keeps a value that it may not be told the end of, in milliseconds. */
const gatewayCacheMs = 300_000;
const maxUriLength = 1_024;
const maxSpiffeIdLength = 2_048;

export interface CredentialProviderDeps extends SubstrateSettings {
  readonly access: Pick<Access, "control" | "deniedAccess">;
  readonly clock: Clock;
  /** Those of the listener. */
  readonly services: readonly BoundService[];
}

type FetchSecretRequest = MessageShape<typeof FetchSecretRequestSchema>;

/**
 * What agent-substrate's egress gateway asks for credentials. The gateway shows the certificate that the settings name, and says for which
 * actor it asks. That actor is the caller of `AcquireToken`: what no policy binds gets nothing. The gateway itself needs no role.
 */
export function credentialProvider(deps: CredentialProviderDeps): OpenServices {
  const callOf = callerOf(deps.services);
  const descriptor = CredentialProvider.method.fetchSecret;
  const call = async (message: Message, { principal, signal, trace }: CallContext): Promise<Message> => {
    try {
      const { uri, actorSpiffeId } = message as FetchSecretRequest;
      await refuseOthers(deps, principal);
      const actor = actorOf(deps, actorSpiffeId, principal);
      const { name, field } = credentialOf(uri);
      return await fetched(callOf({ principal: actor, signal, trace }), name, field, deps.clock.nowMs());
    } catch (error) {
      if (error instanceof MetadataRefusal) throw new WireError(codes.failed_precondition, error.message);
      throw toWireError(error);
    }
  };
  const service = { descriptor: CredentialProvider, methods: [{ kind: "unary", descriptor, call }] } as const;
  return { services: [service], endStreams: () => {} };
}

/** @throws PermissionDenied, which is recorded; Unauthenticated where the gateway was stopped */
async function refuseOthers(
  { gateway, access }: CredentialProviderDeps,
  principal: Principal,
): Promise<void> {
  if (principal.kind === "certificate" && principal.name === gateway) {
    access.control.refuseEnded(principal);
    return;
  }
  await access.deniedAccess.record(`FetchSecret ${principal.name}`, () => ({
    ...{ type: "access.denied", ...by(principal), reason: "token.read" },
  }));
  throw new PermissionDenied("FetchSecret is for the caller that NEXUS_SUBSTRATE_GATEWAY names");
}

/** Of the trust domain of actors alone: a gateway speaks for no other caller that has a certificate. @throws InvalidArgument */
function actorOf({ trustDomain }: SubstrateSettings, spiffeId: string, gateway: Principal): Principal {
  const prefix = `spiffe://${trustDomain}/`;
  const segments = spiffeId.slice(prefix.length).split("/");
  const isActor =
    spiffeId.length <= maxSpiffeIdLength &&
    spiffeId.startsWith(prefix) &&
    segments.every((segment) => /^(?!\.{1,2}$)[a-zA-Z0-9._-]+$/.test(segment));
  if (!isActor) throw invalid("actor_spiffe_id", `must be a SPIFFE ID of the trust domain ${trustDomain}`);
  const actor: Principal = { name: `cert:${spiffeId}`, kind: "certificate" };
  return at(actor, gateway.origin, [...(gateway.via ?? []), gateway.name]);
}

/** @throws InvalidArgument */
function credentialOf(uri: string): { readonly name: ConnectionName; readonly field: string | undefined } {
  const [, provider = "", field, rest = ""] =
    /^ate-secret:\/\/[a-zA-Z0-9._-]+\/([^/.?#]+)(?:\.([^/?#]+))?((?:\/[^/?#]+){1,2})$/.exec(
      uri.slice(0, maxUriLength + 1),
    ) ?? [];
  const name = parseNamePath(`${provider}${rest}`.split("/"));
  if (uri.length > maxUriLength || !name)
    throw invalid("uri", "must be ate-secret://NAME/PROVIDER/USER or ate-secret://NAME/PROVIDER/USER/LABEL");
  return { name, field };
}

/** @throws MetadataRefusal where its user must act, and for a credential that is no single value; WireError */
async function fetched(call: Call, name: ConnectionName, field: string | undefined, nowMs: number) {
  const token = await acquirer(call, gatewayCacheMs)(name);
  const { expiresAt } = token;
  const value = secretOf(token, field);
  return create(FetchSecretResponseSchema, {
    opaqueBytes: new TextEncoder().encode(value),
    ...(expiresAt && { maxAge: durationFromMs(Math.max(0, timestampMs(expiresAt) - nowMs)) }),
  });
}

/** The field that was named; else what the strategy carries, or the only one. @throws MetadataRefusal */
function secretOf({ strategy, credentials, tokenType }: Token, field: string | undefined): string {
  if (tokenType === "DPoP")
    throw unusable("its token is bound to a key (DPoP), and each request needs a proof");
  const names = Object.keys(credentials).sort();
  const kind = strategy?.kind;
  const carried =
    kind?.case === "oauth2" || kind?.case === "header" || kind?.case === "queryParam"
      ? kind.value.credentialField
      : undefined;
  const found =
    field ?? [carried, names.length === 1 ? names[0] : undefined].find((one) => one && names.includes(one));
  const value = found !== undefined && Object.hasOwn(credentials, found) ? credentials[found] : undefined;
  if (value) return value;
  throw unusable(`it has the fields ${names.join(", ")}: name one of them, as in PROVIDER.${names[0]}/USER`);
}

function unusable(why: string): MetadataRefusal {
  const message = `the connection has no single value to send: ${why}`;
  return new MetadataRefusal(409, "failed_precondition", message);
}

function invalid(field: string, description: string): InvalidArgument {
  return new InvalidArgument([{ field, description }]);
}
