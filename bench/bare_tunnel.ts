/** A proxy of node:http that knows CONNECT to this machine, and nothing else. */
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";

const server = createServer().on("connect", ({ url = "" }, near) => {
  const far = connect(Number(url.split(":").at(-1)), "127.0.0.1");
  near.write("HTTP/1.1 200 OK\r\n\r\n");
  near
    .on("error", () => far.destroy())
    .pipe(far.on("error", () => near.destroy()))
    .pipe(near);
});
server.listen(0, "127.0.0.1", () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.once("disconnect", () => process.exit(0));
