/** The policy file cannot be used at start: the daemon does not start without the policy that it was asked to keep. */
export class PolicyError extends Error {
  override readonly name = "PolicyError";
}
