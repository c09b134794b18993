import type { Message } from "@bufbuild/protobuf";
import type {
  ConfirmConnectionRequest,
  ConnectionServiceRequestConnectionResponse,
} from "../../../gen/nexus/v1/connection_pb.js";
import type {
  AcquireTokenResponse,
  ConsentRequired,
  ReportRejectedTokenResponse,
} from "../../../gen/nexus/v1/token_pb.js";
import type { Principal } from "../../../model/access/principal.js";
import { FailedPrecondition } from "../../../model/errors.js";
import { BoundedMap } from "../../../runtime/bounded_map.js";

/** Requests for consent remembered: they end within the hour. */
const maxRequesters = 10_000;

interface Asker {
  readonly name: string;
  /** The link, or the code of a device authorization. */
  readonly link: string;
}

interface Link {
  readonly connectionId: string;
  readonly authUrl: string;
  readonly userCode: string;
  verificationUriComplete: string;
}

/**
 * Which caller of a spoke asked for which consent: to the hub all of them are one. After a restart the first that asks for a link counts as
 * who asked for it.
 */
export class ConsentRequesters {
  /** By the id of the connection. */
  readonly #askers = new BoundedMap<string, Asker>(maxRequesters);

  /** @throws FailedPrecondition when it is another caller's to confirm, as a daemon answers it */
  judge(request: Message, caller: Principal): void {
    if (request.$typeName !== "nexus.v1.ConfirmConnectionRequest") return;
    const asker = this.#askers.get((request as ConfirmConnectionRequest).connectionId);
    if (asker === undefined || asker.name === caller.name) return;
    throw new FailedPrecondition(
      "NOT_AWAITING_CONFIRMATION",
      "no consent of this connection waits for your confirmation: it was not given yet, was confirmed, expired, or is not yours",
    );
  }

  /** Remembers who got a link, and takes from that of another what leads straight to the consent. */
  answered(answer: Message, caller: Principal): void {
    if (answer.$typeName === "nexus.v1.ConnectionServiceRequestConnectionResponse")
      this.#made(answer as ConnectionServiceRequestConnectionResponse, caller);
    const link = linkIn(answer);
    if (link === undefined) return;
    const asker = this.#askers.get(link.connectionId);
    if (asker?.link !== linkOf(link)) this.#made(link, caller);
    else if (asker.name !== caller.name) link.verificationUriComplete = "";
  }

  #made(link: Link, { name }: Principal): void {
    this.#askers.set(link.connectionId, { name, link: linkOf(link) });
  }
}

function linkIn(answer: Message): ConsentRequired | undefined {
  if (answer.$typeName === "nexus.v1.ReportRejectedTokenResponse")
    return (answer as ReportRejectedTokenResponse).consent;
  if (answer.$typeName !== "nexus.v1.AcquireTokenResponse") return undefined;
  const { result } = answer as AcquireTokenResponse;
  return result.case === "consent" ? result.value : undefined;
}

function linkOf({ authUrl, userCode }: Link): string {
  return authUrl === "" ? userCode : authUrl;
}
