/** Calls a daemon of any version, in JSON and with an API key. @throws Error with the answer, when it is none of success */
export async function callJson(
  url: string,
  apiKey: string,
  rpc: string,
  request: object,
): Promise<Record<string, unknown>> {
  const response = await fetch(`${url}/nexus.v1.${rpc}`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-api-key": apiKey },
    body: JSON.stringify(request),
  });
  const body = await response.text();
  if (!response.ok) throw new Error(`${rpc} ended with ${response.status}: ${body}`);
  return JSON.parse(body) as Record<string, unknown>;
}

/** Calls one daemon. */
export type Call = (rpc: string, request: object) => Promise<Record<string, unknown>>;
