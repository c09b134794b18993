import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  parseDatabaseUrl,
  readTlsFiles,
} from "../../../../../src/ext/fleet/database/connection/database_url.js";
import { FleetRefused } from "../../../../../src/ext/fleet/database/connection/fleet_error.js";
import { temporaryFolder } from "../../../../temporary_folder.js";

const tls = "sslmode=verify-full";

test.each([
  ["postgres://u:p@db/n", "verify-full"],
  ["postgres://u:p@127.0.0.1/n", "verify-full"],
  ["postgres://u:p@db/n?sslmode=require", "verify-full"],
  ["postgres://u:p@db/n?sslmode=verify-ca", "verify-full"],
  ["postgres://u:p@/n?host=/run,db", "verify-full"],
  ["postgres://u@/n?host=/run&sslmode=disable", "no sslmode but verify-full"],
  ["mysql://u:p@db/n", "of the form postgres://"],
  ["postgres:db", "of the form postgres://"],
  ["", "of the form postgres://"],
  [`postgres://u:p@/n?${tls}`, "no host"],
  [`postgres://u:p@a,,b/n?${tls}`, "no host"],
  [`postgres://u:p@db:0/n?${tls}`, "port"],
  [`postgres://u:p@db:65536/n?${tls}`, "port"],
  [`postgres://u:p@db:x/n?${tls}`, "port"],
  [`postgres://u:p@db:5432:5432/n?${tls}`, "port"],
  [`postgres://u:p@fe80::1/n?${tls}`, "port"],
  [`postgres://u:p%zz@db/n?${tls}`, "percent-encoding"],
  [`postgres://u:p%00@db/n?${tls}`, "NUL"],
  [`postgres://u:p@db/n?${tls}&options=-c%20fsync=off`, "the parameters host, port"],
  [`postgres://u:p@db/n?${tls}&target_session_attrs=standby`, "target_session_attrs"],
  [`postgres://u:p@db/n?${tls}&target_session_attrs=prefer-standby`, "target_session_attrs"],
  [`postgres://u:p@db/n?${tls}&target_session_attrs=master`, "target_session_attrs"],
  [`postgres://u:p@db/n?${tls}&connect_timeout=soon`, "connect_timeout"],
  [`postgres://u:p@db/n?${tls}&channel_binding=yes`, "channel_binding"],
  ["postgres://u:p@/n?host=/run&channel_binding=require", "channel_binding"],
  [`postgres://u:p@db/n?${tls}&${tls}`, "sslmode twice"],
  [`postgres://u:p@db/n?${tls}&sslcert=/c`, "both of sslcert and sslkey"],
])("%s is refused", (url, words) => {
  const read = () => parseDatabaseUrl(url);

  expect(read).toThrow(FleetRefused);
  expect(read).toThrow(words);
});

test("no message holds the password", () => {
  for (const url of [
    "postgres://u:s3cret@db/n",
    "postgres:/u:s3cret@db",
    "postgres://u:s3cret@db:x/n?sslmode=verify-full",
  ]) {
    expect(() => parseDatabaseUrl(url)).not.toThrow("s3cret");
    expect(() => parseDatabaseUrl(url)).toThrow(FleetRefused);
  }
});

test.each([
  [
    `postgres://u%40x:p%3Aq@a:1,b/n%2Fm?${tls}&sslrootcert=/ca`,
    {
      hosts: [
        { host: "a", port: 1, isSocket: false },
        { host: "b", port: 5432, isSocket: false },
      ],
      user: "u@x",
      password: "p:q",
      database: "n/m",
      tls: { rootCert: "/ca" },
    },
  ],
  [
    "postgresql://u@/?host=/run/postgresql&port=6432",
    {
      hosts: [{ host: "/run/postgresql", port: 6432, isSocket: true }],
      user: "u",
      password: undefined,
      database: "u",
      tls: {},
    },
  ],
  [
    "postgres://%2Frun%2Fpg/n?user=u&password=p",
    {
      hosts: [{ host: "/run/pg", port: 5432, isSocket: true }],
      user: "u",
      password: "p",
      database: "n",
      tls: {},
    },
  ],
  [
    `postgres://u@[::1]:7/n?${tls}&sslrootcert=system&sslcert=/c&sslkey=/k`,
    {
      hosts: [{ host: "::1", port: 7, isSocket: false }],
      user: "u",
      password: undefined,
      database: "n",
      tls: { cert: "/c", key: "/k" },
    },
  ],
])("%s is read", (url, address) => {
  const defaults = { applicationName: "nexusd", channelBinding: "disable" };
  expect(parseDatabaseUrl(url)).toEqual({ ...defaults, ...address });
});

test.each([
  "target_session_attrs=read-write&connect_timeout=10&application_name=hub%201&channel_binding=require",
  "target_session_attrs=primary&connect_timeout=-1&application_name=hub%201&channel_binding=require",
  "target_session_attrs=any&application_name=hub%201&channel_binding=require",
])("what managed databases put into their URLs is taken: %s", (query) => {
  expect(parseDatabaseUrl(`postgres://u@db/n?${tls}&${query}`)).toMatchObject({
    ...{ applicationName: "hub 1", channelBinding: "require" },
  });
});

test("a file of TLS that cannot be read is named by its parameter", () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "ca"), "PEM");
  const url = (file: string) => `postgres://u@db/n?${tls}&sslrootcert=${join(folder, file)}`;

  expect(readTlsFiles(parseDatabaseUrl(url("ca")))).toEqual({ ca: "PEM" });
  expect(() => readTlsFiles(parseDatabaseUrl(url("none")))).toThrow("the file that sslrootcert");
});
