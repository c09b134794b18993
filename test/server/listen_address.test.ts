import { describe, expect, test } from "vitest";
import {
  formatListenAddress,
  ListenAddressError,
  parseListenAddress,
} from "../../src/model/listen_address.js";

describe("parseListenAddress reads, and formatListenAddress writes back", () => {
  test.each([
    ["127.0.0.1:8090", { kind: "tcp", host: "127.0.0.1", port: 8090 }],
    ["localhost:0", { kind: "tcp", host: "localhost", port: 0 }],
    ["[::1]:65535", { kind: "tcp", host: "::1", port: 65535 }],
    ["[fe80::1%eth0]:1", { kind: "tcp", host: "fe80::1%eth0", port: 1 }],
    ["unix:/run/nexus.sock", { kind: "unix", path: "/run/nexus.sock" }],
    ["unix:a folder/x:1.sock", { kind: "unix", path: "a folder/x:1.sock" }],
  ])("%s", (text, address) => {
    expect(parseListenAddress(text)).toEqual(address);
    expect(formatListenAddress(parseListenAddress(text))).toBe(text);
  });
});

test.each([
  "",
  "8090",
  ":8090",
  "localhost",
  "localhost:",
  "localhost:65536",
  "localhost:-1",
  "localhost:80x",
  "::1:8090",
  "[::1]",
  "[localhost]:1",
  "http://localhost:1",
  "a b:1",
  "unix:",
  "unix:\0abstract",
])("parseListenAddress refuses %j", (text) => {
  expect(() => parseListenAddress(text)).toThrow(ListenAddressError);
});
