// Run by `nexusd run` in the tests: asks the API through the proxy of its environment, or tries every other way out.

import { createSocket } from "node:dgram";
import { existsSync, readdirSync } from "node:fs";
import { request } from "node:http";
import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";

const { HTTPS_PROXY: proxy, ASKED: asked, TRIED: tried } = process.env;
if (asked) process.stdout.write(await answerOf(new URL(asked)));
if (tried) process.stdout.write(JSON.stringify(await reached(JSON.parse(tried))));
if (process.env.PRINTS_ENVIRONMENT) process.stdout.write(JSON.stringify(process.env));
process.exitCode = Number(process.env.EXIT ?? 0);

function answerOf({ hostname, host, pathname }) {
  const { port, username, password } = new URL(proxy);
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
  return new Promise((resolve, reject) => {
    request({
      host: "127.0.0.1",
      port,
      method: "CONNECT",
      path: host,
      headers: { "proxy-authorization": authorization },
    })
      .on("error", reject)
      .on("connect", (_, socket) => {
        const tls = connectTls({ socket, servername: hostname, ALPNProtocols: ["http/1.1"] }, () =>
          tls.write(`GET ${pathname} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`),
        );
        let text = "";
        tls.on("error", reject).on("data", (chunk) => {
          text += chunk;
        });
        tls.on("end", () => resolve(text));
      })
      .end();
  });
}

/** The names of the ways that led somewhere. */
async function reached({ tcp, sockets, files, pids }) {
  const found = [];
  for (const [host, port] of tcp) if (await opens(connectTcp({ host, port }))) found.push(`${host}:${port}`);
  for (const path of sockets) if (await opens(connectTcp({ path }))) found.push(path);
  for (const path of files) if (existsSync(path) && readdirSync(path).length > 0) found.push(path);
  for (const pid of pids) if (existsSync(`/proc/${pid}/environ`)) found.push(`/proc/${pid}`);
  if (await sendsUdp()) found.push("udp");
  return found;
}

function opens(socket) {
  return new Promise((resolve) => {
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.setTimeout(3_000, () => resolve(false));
  }).finally(() => socket.destroy());
}

function sendsUdp() {
  const socket = createSocket("udp4");
  return new Promise((resolve) => {
    socket.once("error", () => resolve(false));
    socket.send("?", 53, "192.0.2.1", (error) => resolve(error === null));
  }).finally(() => socket.close());
}
