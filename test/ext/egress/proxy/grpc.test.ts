import * as grpc from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { Authority } from "../../../fakes/certificates.js";
import { perSuite } from "../../../lifetimes.js";
import { canary, EgressWorld } from "./egress_world.js";

const identity = (bytes: Buffer): Buffer => bytes;
const methodOf = (path: string, requestStream: boolean, responseStream: boolean) => ({
  ...{ path, requestStream, responseStream },
  ...{ requestSerialize: identity, requestDeserialize: identity },
  ...{ responseSerialize: identity, responseDeserialize: identity },
});
const path = (name: string): string => `/v1/${name}`;
const service = {
  unary: methodOf(path("unary"), false, false),
  server: methodOf(path("server"), false, true),
  client: methodOf(path("client"), true, false),
  both: methodOf(path("both"), true, true),
};

const echoed: grpc.UntypedServiceImplementation = {
  unary: (
    { request, metadata }: grpc.ServerUnaryCall<Buffer, Buffer>,
    answer: grpc.sendUnaryData<Buffer>,
  ) => {
    if (String(request) === "fails") return answer({ code: grpc.status.NOT_FOUND, details: "no such thing" });
    answer(null, Buffer.from(`${request} ${metadata.get("x-api-key")}`));
  },
  server: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
    for (const word of ["1", "2", "3"]) call.write(Buffer.from(word));
    call.end();
  },
  client: async (call: grpc.ServerReadableStream<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) => {
    const words: string[] = [];
    for await (const word of call) words.push(String(word));
    answer(null, Buffer.from(words.join()));
  },
  both: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
    call.on("data", (word: Buffer) => call.write(word)).on("end", () => call.end());
  },
};

/** A gRPC server, and a client whose calls pass the proxy. */
async function grpcWorld() {
  const issuer = new Authority("CA of gRPC");
  const { cert, key } = issuer.issueServer({ dns: ["api.localhost"] });
  const server = new grpc.Server();
  server.addService(service, echoed);
  const pair = { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) };
  const port = await new Promise<number>((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createSsl(null, [pair]);
    server.bindAsync("127.0.0.1:0", credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  const profile = { name: "deep", apiBaseUrl: `https://api.localhost:${port}/v1` };
  const egress = await EgressWorld.start({ roots: issuer.pem, providers: () => [profile] });
  const { host, username, password } = egress.proxyUrl;
  const trusted = grpc.credentials.createSsl(Buffer.from(egress.authority.pem));
  const client = new grpc.Client(host, trusted, {
    "grpc.http_connect_target": `dns:api.localhost:${port}`,
    "grpc.http_connect_creds": `${username}:${password}`,
    "grpc.default_authority": `api.localhost:${port}`,
  });
  const stop = async (): Promise<void> => {
    client.close();
    server.forceShutdown();
    await egress.stop();
  };
  return { client, stop };
}

describe("gRPC", () => {
  const world = perSuite(grpcWorld);
  const called = <T>(call: (answer: grpc.requestCallback<T>) => unknown): Promise<T> =>
    new Promise((resolve, reject) => {
      call((error, answer) => (error ? reject(error) : resolve(answer as T)));
    });
  const unary = (word: string) =>
    called<Buffer>((answer) =>
      world.client.makeUnaryRequest(path("unary"), identity, identity, Buffer.from(word), answer),
    );

  it("has one answer for one message, with the credential put in", async () => {
    expect(String(await unary("hello"))).toBe(`hello ${canary}`);
  });

  it("has the status of an answer that is nothing but trailers", async () => {
    await expect(unary("fails")).rejects.toMatchObject({
      code: grpc.status.NOT_FOUND,
      details: "no such thing",
    });
  });

  it("has a stream of answers", async () => {
    const call = world.client.makeServerStreamRequest(path("server"), identity, identity, Buffer.from("all"));
    const words: string[] = [];
    for await (const word of call) words.push(String(word));
    expect(words).toEqual(["1", "2", "3"]);
  });

  it("has a stream of messages", async () => {
    const answer = await called<Buffer>((done) => {
      const call = world.client.makeClientStreamRequest(path("client"), identity, identity, done);
      for (const word of ["1", "2"]) call.write(Buffer.from(word));
      call.end();
    });
    expect(String(answer)).toBe("1,2");
  });

  it("has streams in both directions, each message answered before the next is sent", async () => {
    const call = world.client.makeBidiStreamRequest(path("both"), identity, identity);
    const answers = call[Symbol.asyncIterator]();
    for (const word of ["1", "2", "3"]) {
      call.write(Buffer.from(word));
      expect(String((await answers.next()).value)).toBe(word);
    }
    call.end();
    expect((await answers.next()).done).toBe(true);
  });
});
