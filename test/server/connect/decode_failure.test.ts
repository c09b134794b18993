import { expect, test } from "vitest";
import { apiKey } from "../fake_services.js";
import { getTokenPath, json, openListener } from "../http_listener_fixture.js";

test("what only the library finds is answered with nothing of what was sent", async () => {
  const { port } = await openListener();
  const response = await fetch(`http://127.0.0.1:${port}${getTokenPath}`, {
    method: "POST",
    headers: { ...json, "x-api-key": apiKey },
    body: JSON.stringify({ minTtl: "999999999999s" }),
  });
  expect(response.status).toBe(400);
  expect(await response.json()).toEqual({
    code: "invalid_argument",
    message:
      'cannot decode message google.protobuf.Duration from JSON: a duration is a text of seconds, as "60s"',
  });
});
