import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { Code, createClient } from "@connectrpc/connect";
import { expect, onTestFinished, test } from "vitest";
import { TokenService } from "../../src/gen/nexus/v1/token_pb.js";
import { connectTo, failure, openListener, transports, withKey } from "./http_listener_fixture.js";

test.each(transports)(
  "lets a stream over %s come to its end and takes no new calls",
  async (_name, makeTransport) => {
    const { base, listener, fake } = await openListener();
    const client = createClient(TokenService, makeTransport(base, [withKey]));
    const messages = client.watchTokens({ userId: "hang" })[Symbol.asyncIterator]();
    const started = fake.next("started");
    await messages.next();
    await started;
    const closed = listener.close(new AbortController().signal);
    const unauthenticated = createClient(TokenService, makeTransport(base, [withKey]));
    expect((await failure(unauthenticated.getToken({ connectionId: "a" }))).code).toBe(Code.Unavailable);
    fake.release();
    expect((await messages.next()).value?.event.value).toMatchObject({ connectionId: "second" });
    expect((await messages.next()).done).toBe(true);
    await closed;
  },
);

test.each(transports)("cuts off a stream over %s when it is told to", async (_name, makeTransport) => {
  const { base, listener, fake } = await openListener();
  const client = createClient(TokenService, makeTransport(base, [withKey]));
  const messages = client.watchTokens({ userId: "hang" })[Symbol.asyncIterator]();
  const started = fake.next("started");
  await messages.next();
  await started;
  const force = new AbortController();
  const closed = listener.close(force.signal);
  const aborted = fake.next("aborted");
  force.abort();
  await Promise.all([closed, aborted, failure(messages.next())]);
  expect(fake.unexpected).toEqual([]);
});

test("does not wait for silent and idle connections", async () => {
  const { base, port, listener } = await openListener();
  const silent = connectTo(port);
  await once(silent, "connect");
  const session = connectHttp2(base);
  onTestFinished(() => session.destroy());
  await once(session, "remoteSettings");
  await fetch(`${base}/none`).then((response) => response.text());
  await listener.close(new AbortController().signal);
});
