import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import type { JsonObject, JsonValue } from "../../src/model/json.js";

/** An answer; every member of its body can be looked at. */
export interface RestResponse {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into it and says what it expects to find
  readonly body: any;
}

interface Operation {
  readonly responses: Readonly<Record<string, { content?: Record<string, { schema: { $ref: string } }> }>>;
}

/** What `curl` would do, with every answer held against the OpenAPI document that the daemon serves. */
export class RestClient {
  /** `METHOD path status` of what was asked, by the paths of the document. */
  readonly exercised = new Set<string>();
  readonly #ajv = new Ajv2020({ strict: false });
  readonly #validators = new Map<string, ValidateFunction>();

  private constructor(
    readonly baseUrl: string,
    readonly apiKey: string,
    readonly document: JsonObject,
  ) {
    formats.default(this.#ajv);
    this.#ajv.addSchema({ $id: "openapi", ...document });
  }

  static async connect(baseUrl: string, apiKey: string): Promise<RestClient> {
    const response = await fetch(`${baseUrl}/openapi.json`);
    return new RestClient(baseUrl, apiKey, (await response.json()) as JsonObject);
  }

  get(path: string): Promise<RestResponse> {
    return this.send("GET", path);
  }

  post(path: string, body?: JsonValue): Promise<RestResponse> {
    return this.send("POST", path, body);
  }

  async send(
    method: string,
    path: string,
    body?: JsonValue,
    headers: Record<string, string> = { "x-api-key": this.apiKey },
  ): Promise<RestResponse> {
    const response = await fetch(this.baseUrl + path, {
      method,
      headers: { ...headers, ...(body === undefined ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = { status: response.status, headers: response.headers, body: await response.json() };
    this.#hold(method, path, answer);
    return answer;
  }

  /** @throws Error for an answer that the document does not describe */
  #hold(method: string, path: string, { status, body }: RestResponse): void {
    const [template, operation] = this.#operation(method, path.split("?")[0] ?? "");
    this.exercised.add(`${method} ${template} ${status}`);
    const reference = operation.responses[status]?.content?.["application/json"]?.schema.$ref;
    if (!reference) throw new Error(`${method} ${template} answered ${status}, which is not documented`);
    const known = this.#validators.get(reference);
    const validate = known ?? this.#ajv.compile({ $ref: `openapi${reference}` });
    this.#validators.set(reference, validate);
    if (!validate(body)) {
      throw new Error(`${method} ${template} ${status}: ${this.#ajv.errorsText(validate.errors)}`);
    }
  }

  #operation(method: string, path: string): [string, Operation] {
    const paths = this.document["paths"] as unknown as Record<string, Record<string, Operation>>;
    const templates = Object.keys(paths).sort((a, b) => a.split("{").length - b.split("{").length);
    for (const template of templates) {
      const pattern = new RegExp(`^${template.replace(/\{\w+\}/g, "[^/]+")}/*$`);
      const operation = paths[template]?.[method.toLowerCase()];
      if (pattern.test(path) && operation) return [template, operation];
    }
    throw new Error(`${method} ${path} is not documented`);
  }
}
