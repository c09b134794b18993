import { readFile } from "node:fs/promises";
import { StartRefused } from "../../core/registry.js";
import { DocumentError, formatViolations } from "../../document/document.js";
import { type NamedIssuer, readIssuers } from "./issuers_document.js";
import type { IssuerSettings, JwtConfig } from "./jwt_settings.js";

/** The issuer of the settings, and those of the file. @throws StartRefused for a file that cannot be used */
export async function issuersOf({
  lone,
  file,
  allowLoopback,
}: IssuerSettings): Promise<readonly (JwtConfig | NamedIssuer)[]> {
  const named = file === undefined ? [] : await read(file, allowLoopback);
  const same = named.find((one) => one.issuer === lone?.issuer && one.audience === lone.audience);
  if (same !== undefined)
    throw new StartRefused(`${file}: ${same.name} has the issuer and the audience of NEXUS_JWT_ISSUER`);
  return lone === undefined ? named : [lone, ...named];
}

async function read(file: string, allowLoopback: boolean): Promise<readonly NamedIssuer[]> {
  try {
    return readIssuers(await readFile(file, "utf8"), allowLoopback);
  } catch (error) {
    if (error instanceof DocumentError)
      throw new StartRefused(
        formatViolations(error)
          .map((line) => `${file}:${line}`)
          .join("\n"),
      );
    const code = (error as NodeJS.ErrnoException).code ?? "unknown";
    throw new StartRefused(`${file} cannot be read (${code})`);
  }
}
