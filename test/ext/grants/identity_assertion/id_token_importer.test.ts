import { describe, expect, it } from "vitest";
import { owner } from "../../../../src/model/access/principal.js";
import { Secret } from "../../../../src/runtime/secret.js";
import { Engine, startMs } from "../../../domain/engine.js";
import { perTest } from "../../../lifetimes.js";

describe("an import of an id_token", () => {
  const engine = perTest(() => new Engine());

  it("shows no account, since nobody verified who signed it", async () => {
    const { id, issuer, clientId } = await engine.provider("company", { issuer: "https://company.example" });
    const claims = {
      iss: issuer,
      aud: clientId,
      sub: "ceo",
      email: "ceo@company.example",
      exp: startMs / 1000 + 60,
    };
    const idToken = new Secret(`e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.`);
    const request = {
      providerId: id,
      userId: "ada",
      label: "",
      scopes: [],
      refreshToken: undefined,
      fields: {},
    };
    const connection = await engine.importer.import({ ...request, idToken }, owner);
    expect(connection).toMatchObject({ status: "active", account: undefined });
  });
});
