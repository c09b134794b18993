import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it, vi } from "vitest";
import { acquire, type ShownConsent } from "../../../clients/typescript/src/acquire.js";
import { consentErrorOf } from "../../../clients/typescript/src/error_mapping.js";
import {
  AttentionRequired,
  ConsentDenied,
  ConsentRequired,
  Unavailable,
} from "../../../clients/typescript/src/errors.js";
import {
  AcquireTokenResponseSchema,
  ConsentRequiredSchema,
} from "../../../clients/typescript/src/gen/nexus/v1/token_pb.js";
import { Token } from "../../../clients/typescript/src/token.js";
import { ManualClock } from "../../fakes/manual_clock.js";

type Result = NonNullable<MessageInitShape<typeof AcquireTokenResponseSchema>["result"]>;

const token: Result = { case: "token", value: { revision: 1n } };
const link = (authUrl: string, reason = "not_connected"): Result => ({
  case: "consent",
  value: { authUrl, connectionId: "c", reason },
});
const code = (userCode: string): Result => ({
  case: "consent",
  value: {
    verificationUri: "https://p.example/device",
    userCode,
    connectionId: "c",
    reason: "not_connected",
  },
});
const away = new Unavailable("away", undefined, 5_000);

/** Acquires while the daemon gives these answers one after the other. */
async function play(answers: readonly (Result | Error)[], onConsent?: (consent: ShownConsent) => void) {
  const clock = new ManualClock(0);
  const left = [...answers];
  const waits: boolean[] = [];
  const shown: ShownConsent[] = [];
  const ask = async (waitMs: number): Promise<Token> => {
    waits.push(waitMs > 0);
    const answer = left.shift();
    if (answer === undefined) throw new Error("one call too many");
    if (answer instanceof Error) throw answer;
    const { result } = create(AcquireTokenResponseSchema, { result: answer });
    if (result.case === "token") return new Token(result.value);
    if (result.case === "consent") throw consentErrorOf(result.value);
    throw new Error("no result");
  };
  const show = (consent: ShownConsent): void => {
    shown.push(consent);
    onConsent?.(consent);
  };
  let isDone = false;
  const acquired = acquire({ ask, clock }, show, new AbortController().signal).finally(() => {
    isDone = true;
  });
  acquired.catch(() => undefined);
  await vi.waitFor(() => {
    clock.advance(1_000);
    if (!isDone) throw new Error("it waits");
  }, 10_000);
  return {
    result: await acquired.catch((error: unknown) => error),
    shown,
    waits,
    left,
    nowMs: clock.nowMs(),
  };
}

describe("acquire", () => {
  it("shows each link once, and waits for the person from the second call on", async () => {
    const { result, shown, waits } = await play([link("A"), link("A"), link("B", "consent_expired"), token]);
    expect(result).toBeInstanceOf(Token);
    expect(shown.map(({ authUrl, reason }) => [authUrl, reason])).toEqual([
      ["A", "not_connected"],
      ["B", "consent_expired"],
    ]);
    expect(waits).toEqual([false, true, true, true]);
  });

  it("ends with the person's no, and has the next link, which it does not show", async () => {
    const { result, shown, left } = await play([link("A"), link("B", "access_denied"), token]);
    expect(result).toBeInstanceOf(ConsentDenied);
    expect(result).toBeInstanceOf(ConsentRequired);
    expect(result).toMatchObject({
      name: "ConsentDenied",
      authUrl: "B",
      connectionId: "c",
      reason: "access_denied",
    });
    expect(shown.map(({ authUrl }) => authUrl)).toEqual(["A"]);
    expect(left).toHaveLength(1);
  });

  it("asks a person anew who said no to an earlier call", async () => {
    const { result, shown } = await play([link("A", "access_denied"), link("A", "access_denied"), token]);
    expect(result).toBeInstanceOf(Token);
    expect(shown.map(({ authUrl }) => authUrl)).toEqual(["A"]);
  });

  it("shows each code once", async () => {
    const { shown } = await play([code("AAAA"), code("AAAA"), code("BBBB"), token]);
    expect(shown.map(({ userCode, verificationUri }) => `${verificationUri} ${userCode}`)).toEqual([
      "https://p.example/device AAAA",
      "https://p.example/device BBBB",
    ]);
    expect(shown[0]).not.toHaveProperty("verificationUriComplete");
  });

  it("goes on when the daemon was away after the link, not before the time that it asks for", async () => {
    const { result, shown, nowMs } = await play([link("A"), away, away, link("A"), token]);
    expect(result).toBeInstanceOf(Token);
    expect(shown).toHaveLength(1);
    expect(nowMs).toBeGreaterThanOrEqual(10_000);
  });

  it("fails at once where there is no daemon to begin with", async () => {
    const { result, left } = await play([away, token]);
    expect(result).toBe(away);
    expect(left).toHaveLength(1);
  });

  it("fails with what no link helps against", async () => {
    const stuck = new AttentionRequired("no", {
      ...{
        reason: "PROVIDER_MISCONFIGURED",
        authUrl: undefined,
        connectionId: undefined,
        expiresAt: undefined,
      },
    });
    expect((await play([link("A"), stuck])).result).toBe(stuck);
  });

  it("ends with what onConsent throws", async () => {
    const { result } = await play([link("A"), token], () => {
      throw new Error("nobody to ask");
    });
    expect(result).toMatchObject({ message: "nobody to ask" });
  });
});

it("tells a model that may read the error not to retry, and not the link", () => {
  const consent = create(ConsentRequiredSchema, {
    authUrl: "https://p.example/start",
    reason: "not_connected",
  });
  const { message } = consentErrorOf(consent);
  expect(message).toMatch(/Do not retry/);
  expect(message).not.toMatch(/https?:/);
});
