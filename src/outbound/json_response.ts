interface JsonResponseInit {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer for `oauth4webapi`, whose JSON is at hand: nothing is written out, put into a stream and parsed again. */
export class JsonResponse extends Response {
  override readonly json: () => Promise<unknown>;
  override readonly clone: () => Response;

  constructor(value: object, init: JsonResponseInit = {}) {
    super(null, { ...init, headers: { ...init.headers, "content-type": "application/json" } });
    // A copy: the library writes to what it gets.
    this.json = () => Promise.resolve({ ...value });
    this.clone = () => new JsonResponse(value, init);
  }
}
