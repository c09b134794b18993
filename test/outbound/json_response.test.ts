import * as oauth from "oauth4webapi";
import { expect, test } from "vitest";
import { jsonResponse } from "../../src/outbound/json_response.js";

const server = { issuer: "https://op.example" };
const client = { client_id: "nexusd" };

test("the library takes it as a token response, and what it writes stays its own", async () => {
  const answer = { access_token: "at", token_type: "BEARER", scope: "read" };
  const response = jsonResponse(answer);
  const tokens = await oauth.processAuthorizationCodeResponse(server, client, response);
  expect(tokens).toMatchObject({ access_token: "at", token_type: "bearer", scope: "read" });
  expect(answer.token_type).toBe("BEARER");
  expect(await response.clone().json()).toEqual(answer);
});

test("the library reads an error, its status and its headers from it", async () => {
  const init = { status: 400, headers: { "retry-after": "7" } };
  const response = jsonResponse({ error: "invalid_grant" }, init);
  const failed = oauth.processAuthorizationCodeResponse(server, client, response);
  const violation = await failed.catch((error: unknown) => error);
  expect(violation).toBeInstanceOf(oauth.ResponseBodyError);
  expect(violation).toMatchObject({ error: "invalid_grant", status: 400 });
  expect((violation as oauth.ResponseBodyError).response.headers.get("retry-after")).toBe("7");
});
