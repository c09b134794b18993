import { create } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { SecretSchema } from "../../src/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import {
  type DiscoveryRequest,
  DiscoveryRequestSchema,
  type DiscoveryResponse,
} from "../../src/gen/envoy/service/discovery/v3/discovery_pb.js";
import { SecretDiscoveryService } from "../../src/gen/envoy/service/secret/v3/sds_pb.js";

export const secretTypeUrl = `type.googleapis.com/${SecretSchema.typeName}`;

/** Names and values of a response, and what must hold for each. */
export function secretsOf({ resources, typeUrl }: DiscoveryResponse): Record<string, string> {
  if (typeUrl !== secretTypeUrl) throw new Error(`the type is ${typeUrl}`);
  const entries = resources.map((resource) => {
    const secret = anyUnpack(resource, SecretSchema);
    const specifier = secret?.type.case === "genericSecret" ? secret.type.value.secret?.specifier : undefined;
    if (secret === undefined || specifier?.case !== "inlineString") throw new Error("no generic secret");
    return [secret.name, specifier.value];
  });
  return Object.fromEntries(entries);
}

/** A proxy that watches secrets, and acknowledges nothing by itself. */
export class SecretWatcher {
  readonly client: Client<typeof SecretDiscoveryService>;
  readonly #stop = new AbortController();
  readonly #queue: DiscoveryRequest[] = [];
  readonly #responses: AsyncIterator<DiscoveryResponse>;
  #first: Promise<IteratorResult<DiscoveryResponse>> | undefined;
  #wake: (() => void) | undefined;

  constructor(transport: Transport) {
    this.client = createClient(SecretDiscoveryService, transport);
    const responses = this.client.streamSecrets(this.#requests(), { signal: this.#stop.signal });
    this.#responses = responses[Symbol.asyncIterator]();
    this.#first = this.#responses.next();
    this.#first.catch(() => undefined);
  }

  send(names: string[], answered?: DiscoveryResponse, refusal?: string): void {
    this.#queue.push(
      create(DiscoveryRequestSchema, {
        typeUrl: secretTypeUrl,
        resourceNames: names,
        ...(answered && { responseNonce: answered.nonce, versionInfo: answered.versionInfo }),
        ...(refusal !== undefined && { errorDetail: { code: 13, message: refusal } }),
      }),
    );
    this.#wake?.();
  }

  async next(): Promise<DiscoveryResponse> {
    const step = await (this.#first ?? this.#responses.next());
    this.#first = undefined;
    if (step.done === true) throw new Error("the stream ended");
    return step.value;
  }

  cancel(): void {
    this.#stop.abort();
    this.#wake?.();
  }

  async *#requests(): AsyncGenerator<DiscoveryRequest> {
    while (!this.#stop.signal.aborted) {
      const request = this.#queue.shift();
      if (request) yield request;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}
