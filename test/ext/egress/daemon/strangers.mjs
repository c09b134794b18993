// `HOST PORT COUNT TEXT`: makes so many connections, sends the text on each, and answers each message with how many are open.

import { once } from "node:events";
import { connect } from "node:net";

const [, , host, port, count, text] = process.argv;
let open = 0;
let left = Number(count);
while (left > 0) {
  const sockets = Array.from({ length: Math.min(left, 250) }, () => connect({ host, port: Number(port) }));
  left -= sockets.length;
  await Promise.all(
    sockets.map(async (socket) => {
      socket.on("error", () => undefined).resume();
      await once(socket, "connect");
      open += 1;
      socket.once("close", () => {
        open -= 1;
      });
      socket.write(text);
    }),
  );
}
process.on("message", () => process.send(open));
process.send("all were connected");
