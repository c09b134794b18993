/** There is no copy yet, and no hub will give this daemon one until a person changes something. */
export class UpstreamRefused extends Error {
  override readonly name = "UpstreamRefused";
}
