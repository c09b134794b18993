interface JsonResponseInit {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * An answer for `oauth4webapi`, whose JSON is at hand: nothing is written out, put into a stream and parsed again. No class of its own: Node
 * loads what `Response` needs when that is first named, which a daemon that calls no provider never does.
 */
export function jsonResponse(value: object, init: JsonResponseInit = {}): Response {
  const headers = { ...init.headers, "content-type": "application/json" };
  return Object.assign(new Response(null, { ...init, headers }), {
    // A copy: the library writes to what it gets.
    json: () => Promise.resolve({ ...value }),
    clone: () => jsonResponse(value, init),
  });
}
