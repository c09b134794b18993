/** A provider in a process of its own: answers every refresh at once. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const accessToken = "a".repeat(1_400);
let count = 1;

const http = createServer((request, response) => {
  request.resume().once("end", () => {
    const refresh_token = `bench#${++count}`;
    const body = {
      access_token: `${accessToken}${count}`,
      token_type: "Bearer",
      expires_in: 7_200,
      refresh_token,
    };
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(body));
  });
});
http.listen(0, "127.0.0.1", () => {
  process.send?.({ origin: `http://127.0.0.1:${(http.address() as AddressInfo).port}` });
});
process.on("disconnect", () => process.exit());
