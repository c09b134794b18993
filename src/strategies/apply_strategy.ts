import { createHmac } from "node:crypto";
import { Sha256 } from "@aws-crypto/sha256-js";
import { SignatureV4 } from "@smithy/signature-v4";
import type { Strategy } from "../model/strategy.js";

/** A request of an agent to a provider's API. */
export interface ApiRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

type Credentials = Readonly<Record<string, string>>;

/** Puts a credential into a request as the strategy says. */
export async function applyStrategy(
  request: ApiRequest,
  strategy: Strategy,
  credentials: Credentials,
): Promise<ApiRequest> {
  switch (strategy.kind) {
    case "oauth2":
    case "header": {
      const value = `${strategy.valuePrefix}${read(credentials, strategy.credentialField)}`;
      return withHeader(request, strategy.headerName, value);
    }
    case "query_param": {
      const url = new URL(request.url);
      url.searchParams.set(strategy.paramName, read(credentials, strategy.credentialField));
      return { ...request, url: url.href };
    }
    case "basic_auth": {
      const pair = `${read(credentials, strategy.usernameField)}:${credentials[strategy.passwordField] ?? ""}`;
      return withHeader(request, "Authorization", `Basic ${Buffer.from(pair, "utf8").toString("base64")}`);
    }
    case "hmac_payload": {
      const hmac = createHmac(strategy.algo, read(credentials, strategy.secretField));
      return withHeader(
        request,
        strategy.headerName,
        hmac.update(request.body ?? "").digest(strategy.encoding),
      );
    }
    case "aws_sigv4":
      return await signed(request, strategy.service, strategy.region, credentials);
  }
}

async function signed(
  request: ApiRequest,
  service: string,
  region: string,
  credentials: Credentials,
): Promise<ApiRequest> {
  const sessionToken = credentials["session_token"];
  const signer = new SignatureV4({
    service,
    region,
    sha256: Sha256,
    credentials: {
      accessKeyId: read(credentials, "access_key"),
      secretAccessKey: read(credentials, "secret_key"),
      ...(sessionToken === undefined ? {} : { sessionToken }),
    },
  });
  const url = new URL(request.url);
  const query: Record<string, string[]> = {};
  for (const name of url.searchParams.keys()) query[name] = url.searchParams.getAll(name);
  const { headers } = await signer.sign({
    method: request.method,
    protocol: url.protocol,
    hostname: url.hostname,
    path: url.pathname,
    query,
    headers: { ...request.headers, host: url.host },
    ...(request.body === undefined ? {} : { body: request.body }),
  });
  const { host: _host, ...rest } = headers;
  return { ...request, headers: rest };
}

function withHeader(request: ApiRequest, name: string, value: string): ApiRequest {
  return { ...request, headers: { ...request.headers, [name]: value } };
}

/** @throws Error naming the field */
function read(credentials: Credentials, field: string): string {
  const value = credentials[field];
  if (value === undefined) throw new Error(`the credentials have no field ${JSON.stringify(field)}`);
  return value;
}
