/** Whether the peer, which is about to end, refused a call: nothing was done, and it may be made again (RFC 9113, section 8.7). */
export function isRefused(error: unknown): boolean {
  return error instanceof Error && String(error.cause).includes("NGHTTP2_REFUSED_STREAM");
}
