import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { ApproverRecord } from "../../gen/nexus/store/v1/records_pb.js";
import type { Provenance } from "../../model/access/access.js";
import { BoundedMap, type Clock } from "../../runtime/runtime.js";
import type { WaitingApproval } from "./approvals.js";
import type { Approvers, Invitation } from "./approvers.js";
import type { PlanEntry } from "./plans.js";

/** How long a page that was loaded may be answered. */
const challengeLifeMs = 600_000;
/** Of nonces that came back within their life. */
const maxUsed = 10_000;

/** A passkey that does not count, and why, for the person in front of the page. */
export class PasskeyRefused extends Error {
  override readonly name = "PasskeyRefused";
}

/** What a page has its browser sign. */
export interface Challenge {
  readonly nonce: string;
  /** 32 bytes, base64url. */
  readonly challenge: string;
}

/** Where the pages are. */
export interface PageOrigin {
  readonly origin: string;
  /** Web Authentication, section 4: the domain that passkeys are bound to. */
  readonly rpId: string;
}

/**
 * Registers passkeys, and verifies what they sign (Web Authentication, sections 7.1 and 7.2), always with user verification. A challenge
 * is the digest of what it is for and of a nonce, which works once.
 */
export class Ceremonies {
  /** It seals nonces, so that pages cost no memory: whoever has one link could load it until those of others are forgotten. */
  readonly #key = randomBytes(32);
  /** Nonces that came back. One that is forgotten early is of no use: its request is decided, or its link is used up. */
  readonly #used = new BoundedMap<string, true>(maxUsed);

  constructor(private readonly deps: { readonly approvers: Approvers; readonly clock: Clock }) {}

  forApproval(waiting: WaitingApproval | PlanEntry): Challenge {
    return this.#issue(subjectOf(waiting));
  }

  forRegistration(invitation: Invitation): Challenge {
    return this.#issue(subjectOfInvitation(invitation));
  }

  /**
   * Who approves this request or plan.
   *
   * @param credential `AuthenticationResponseJSON` (Web Authentication, section 5.1.8.2) as the page sent it
   * @throws PasskeyRefused, StoreFailed
   */
  async approverOf(
    waiting: WaitingApproval | PlanEntry,
    { nonce, credential }: { readonly nonce: string; readonly credential: string },
    { origin, rpId }: PageOrigin,
  ): Promise<ApproverRecord> {
    const expectedChallenge = this.#take(nonce, subjectOf(waiting));
    const response = parsed(credential);
    const approver = this.deps.approvers.find(Buffer.from(String(response["id"]), "base64url"));
    if (approver?.rpId !== rpId) throw new PasskeyRefused("This passkey is not registered here.");
    const { verifyAuthenticationResponse } = await import("@simplewebauthn/server");
    const { verified, authenticationInfo } = await verifyAuthenticationResponse({
      response: response as never,
      ...{ expectedChallenge, expectedOrigin: origin, expectedRPID: rpId, requireUserVerification: true },
      credential: {
        id: Buffer.from(approver.credentialId).toString("base64url"),
        publicKey: Uint8Array.from(approver.publicKey),
        counter: approver.signCount,
      },
    }).catch(refuse);
    if (!verified || !(await this.deps.approvers.count(approver, authenticationInfo.newCounter)))
      throw new PasskeyRefused(notAccepted);
    return approver;
  }

  /**
   * @param credential `RegistrationResponseJSON` (Web Authentication, section 5.1.8.1) as the page sent it
   * @param from address of the browser's socket
   * @throws PasskeyRefused, AlreadyExists, FailedPrecondition, StoreFailed
   */
  async register(
    invitation: Invitation,
    { nonce, credential }: { readonly nonce: string; readonly credential: string },
    { origin, rpId }: PageOrigin,
    from: Partial<Provenance>,
  ): Promise<void> {
    const expectedChallenge = this.#take(nonce, subjectOfInvitation(invitation));
    const response = parsed(credential);
    await refuseAttestation(response);
    const { verifyRegistrationResponse } = await import("@simplewebauthn/server");
    const { verified, registrationInfo } = await verifyRegistrationResponse({
      response: response as never,
      ...{ expectedChallenge, expectedOrigin: origin, expectedRPID: rpId, requireUserVerification: true },
    }).catch(refuse);
    if (!verified) throw new PasskeyRefused(notAccepted);
    const { id, publicKey, counter: signCount } = registrationInfo.credential;
    const credentialId = Buffer.from(id, "base64url");
    const { approvers } = this.deps;
    if (approvers.find(credentialId)) throw new PasskeyRefused("This passkey is registered already.");
    if (!(await approvers.register(invitation, { credentialId, publicKey, signCount, rpId }, from)))
      throw new PasskeyRefused("This link was used meanwhile.");
  }

  #issue(subject: string): Challenge {
    const text = `${this.deps.clock.nowMs()}.${randomBytes(32).toString("base64url")}`;
    const nonce = `${text}.${this.#seal(text)}`;
    return { nonce, challenge: challengeOf(subject, nonce) };
  }

  /** It is of no use from then on, whether or not what was signed is good. */
  #take(nonce: string, subject: string): string {
    const [madeAtMs = "", random = "", seal = ""] = nonce.split(".");
    const text = `${madeAtMs}.${random}`;
    const ageMs = this.deps.clock.nowMs() - Number(madeAtMs);
    const isOwn = nonce === `${text}.${seal}` && isSame(seal, this.#seal(text));
    if (!isOwn || ageMs < 0 || ageMs >= challengeLifeMs || this.#used.get(nonce))
      throw new PasskeyRefused("This page was answered already, or is too old. Try again.");
    this.#used.set(nonce, true);
    return challengeOf(subject, nonce);
  }

  #seal(text: string): string {
    return createHmac("sha256", this.#key).update(text).digest("base64url");
  }
}

/**
 * All that the person says yes to: the canonical request with its caller, session, and connection (`digest`), and the rule that asks; or the
 * plan with its caller, connections, policy, and end.
 */
function subjectOf(waiting: WaitingApproval | PlanEntry): string {
  if ("record" in waiting) {
    const { id, digest } = waiting.record;
    return JSON.stringify(["nexusd-plan-approval-1", id, Buffer.from(digest).toString("hex")]);
  }
  const {
    id,
    digest,
    held: { policyDigest, rule },
  } = waiting;
  return JSON.stringify(["nexusd-approval-1", id, digest, policyDigest, rule.line]);
}

function subjectOfInvitation({ name, digest }: Invitation): string {
  return JSON.stringify(["nexusd-approver-1", name, digest]);
}

function challengeOf(subject: string, nonce: string): string {
  return createHash("sha256")
    .update(JSON.stringify([subject, nonce]))
    .digest("base64url");
}

function isSame(presented: string, expected: string): boolean {
  const [one, other] = [Buffer.from(presented), Buffer.from(expected)];
  return one.length === other.length && timingSafeEqual(one, other);
}

/** @throws PasskeyRefused */
function parsed(credential: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(credential);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {}
  throw new PasskeyRefused("No passkey answered. This page needs JavaScript, and a browser with passkeys.");
}

/**
 * None was asked for. Verifying one means to fetch what its certificates name, and whoever has the link could choose that.
 *
 * @throws PasskeyRefused
 */
async function refuseAttestation({ response }: Readonly<Record<string, unknown>>): Promise<void> {
  const { decodeAttestationObject } = await import("@simplewebauthn/server/helpers");
  let format: string | undefined;
  try {
    const { attestationObject } = response as { readonly attestationObject: string };
    const object = decodeAttestationObject(Uint8Array.from(Buffer.from(attestationObject, "base64url")));
    format = object.get("fmt");
  } catch {}
  if (format !== "none") throw new PasskeyRefused(notAccepted);
}

const notAccepted =
  "This passkey was not accepted. Try again, and confirm with your fingerprint, your face, or the PIN of your device.";

function refuse(): never {
  throw new PasskeyRefused(notAccepted);
}
