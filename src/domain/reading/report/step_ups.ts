import type { Principal } from "../../../model/access/principal.js";
import type { Connection, StepUp } from "../../../model/connections/connection.js";
import { InvalidArgument, PermissionDenied } from "../../../model/errors.js";
import {
  type LinkAnswer,
  type MakeLink,
  makingKey,
  pendingDecision,
  requestAgain,
} from "../acquire/decision.js";
import type { TokenAcquirerDeps } from "../acquire/token_acquirer.js";

/** Requests for scopes that an API says a token lacks (RFC 6750 section 3.1). */
export class StepUps {
  constructor(private readonly deps: TokenAcquirerDeps) {}

  /** Not while `AcquireToken` makes a link to the same connection. */
  alone<T>(connection: Connection, section: () => Promise<T>): Promise<T> {
    return this.deps.making.run(makingKey(connection), section);
  }

  /** What is under way already. */
  decide(connection: Connection, scopes: readonly string[], principal: Principal) {
    return pendingDecision(this.deps, connection, { reason: "scopes_missing", scopes }, principal);
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
    stepUp: StepUp,
    principal: Principal,
  ): Promise<LinkAnswer | bigint | undefined> {
    const { access, requests, unattended } = this.deps;
    try {
      access.admit(principal, "connection.request");
      const open = requests.openRequest(connection);
      const again = requestAgain(connection, open, { scopes: stepUp.scopes, returnUrl: undefined });
      const device = open?.deviceIntervalMs !== undefined;
      const request = { ...again, device, isStepUp: true, stepUp };
      const profile = unattended.profileFor(request);
      if (profile) return (await unattended.connect(request, profile, principal)).credentialRevision;
      return { kind: "consent", link: await requests.request(request, principal), reason };
    } catch (error) {
      // A return URL may be demanded, which a report does not have.
      if (error instanceof PermissionDenied || error instanceof InvalidArgument) return undefined;
      throw error;
    }
  }
}
