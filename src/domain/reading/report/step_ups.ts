import type { Principal } from "../../../model/access/principal.js";
import type { Connection, StepUp } from "../../../model/connections/connection.js";
import type { SignInNeed } from "../../../model/connections/sign_in.js";
import { FailedPrecondition, InvalidArgument, PermissionDenied } from "../../../model/errors.js";
import {
  type ConsentNeed,
  type LinkAnswer,
  type MakeLink,
  makingKey,
  pendingDecision,
  requestAgain,
} from "../acquire/decision.js";
import type { TokenAcquirerDeps } from "../acquire/token_acquirer.js";

/** Requests for scopes that an API says a token lacks (RFC 6750 section 3.1), and for another sign-in (RFC 9470). */
export class StepUps {
  constructor(private readonly deps: TokenAcquirerDeps) {}

  /** Not while `AcquireToken` makes a link to the same connection. */
  alone<T>(connection: Connection, section: () => Promise<T>): Promise<T> {
    return this.deps.making.run(makingKey(connection), section);
  }

  /** What is under way already. */
  decide(connection: Connection, need: ConsentNeed, principal: Principal) {
    return pendingDecision(this.deps, connection, need, principal);
  }

  /**
   * Asks a person, or the provider at once where no person is needed.
   *
   * @returns the link, or the new revision; undefined where this caller cannot ask
   * @throws what a request throws
   */
  async ask(
    connection: Connection,
    { reason }: MakeLink,
    { signIn, ...stepUp }: StepUp & { readonly signIn: SignInNeed | undefined },
    principal: Principal,
  ): Promise<LinkAnswer | bigint | undefined> {
    const { access, requests, unattended } = this.deps;
    try {
      access.admit(principal, "connection.request");
      const open = requests.openRequest(connection);
      const again = requestAgain(connection, open, { scopes: stepUp.scopes, returnUrl: undefined, signIn });
      // A device authorization has no parameters for a sign-in.
      const device = open?.deviceIntervalMs !== undefined && again.signIn === undefined;
      const request = { ...again, device, isStepUp: true, stepUp };
      const profile = unattended.profileFor(request);
      if (profile && signIn) throw noSignIn();
      if (profile) return (await unattended.connect(request, profile, principal)).credentialRevision;
      return { kind: "consent", link: await requests.request(request, principal), reason };
    } catch (error) {
      // A return URL may be demanded, which a report does not have.
      if (error instanceof PermissionDenied || error instanceof InvalidArgument) return undefined;
      throw error;
    }
  }
}

function noSignIn(): FailedPrecondition {
  return new FailedPrecondition(
    "NOT_REFRESHABLE",
    "the API wants another sign-in of the user, and nobody signs in for this connection: use a provider whose users consent",
  );
}
