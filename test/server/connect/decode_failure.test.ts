import { expect, test } from "vitest";
import { apiKey } from "../fake_services.js";
import { getTokenPath, json, openListener } from "../http_listener_fixture.js";

test.each(["2m", "s3cret", 60])(
  "a duration of %j is answered by the form of one, not by what was sent",
  async (minTtl) => {
    const { port } = await openListener();
    const response = await fetch(`http://127.0.0.1:${port}${getTokenPath}`, {
      method: "POST",
      headers: { ...json, "x-api-key": apiKey },
      body: JSON.stringify({ connectionId: "7b0d2a53-0cf1-4c35-9b6c-3f2a1f3e0c11", minTtl }),
    });
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({
      code: "invalid_argument",
      message:
        'cannot decode message google.protobuf.Duration from JSON: a duration is a text of seconds, as "60s"',
    });
  },
);
