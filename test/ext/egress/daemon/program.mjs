// Run by `nexusd run` in the tests: asks the API through the proxy of its environment, or tries every other way out.

import { spawnSync } from "node:child_process";
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
async function reached({ tcp, sockets, files, pids, udp }) {
  const found = [];
  for (const [host, port] of tcp) if (await opens(connectTcp({ host, port }))) found.push(`${host}:${port}`);
  for (const path of sockets) if (await opens(connectTcp({ path }))) found.push(path);
  for (const path of files) if (existsSync(path) && readdirSync(path).length > 0) found.push(path);
  for (const pid of pids) if (existsSync(`/proc/${pid}/environ`)) found.push(`/proc/${pid}`);
  if (await sendsUdp(53, "192.0.2.1")) found.push("udp");
  if (sendsRaw()) found.push("raw");
  // Whether that arrives shows outside.
  if (udp) await sendsUdp(udp, "127.0.0.1");
  return found;
}

function opens(socket) {
  return new Promise((resolve) => {
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.setTimeout(3_000, () => resolve(false));
  }).finally(() => socket.destroy());
}

function sendsUdp(port, address) {
  const socket = createSocket("udp4");
  return new Promise((resolve) => {
    socket.once("error", () => resolve(false));
    socket.send("?", port, address, (error) => resolve(error === null));
  }).finally(() => socket.close());
}

/** An echo request of ICMP, by the one language at hand that has raw sockets. */
function sendsRaw() {
  const socket = "s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)";
  const code = `import socket; ${socket}; s.sendto(bytes([8, 0, 0xf7, 0xff, 0, 0, 0, 0]), ("192.0.2.1", 0))`;
  return spawnSync("python3", ["-c", code]).status === 0;
}
