/** This process can be no part of the fleet any more, and is one again when it is started anew. */
export class HubEnded extends Error {
  override readonly name = "HubEnded";
}
