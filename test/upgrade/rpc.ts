/** Calls a daemon of any version, in JSON and with an API key. @throws Error with the answer, when it is none of success */
export async function callJson(
  url: string,
  apiKey: string,
  rpc: string,
  request: object,
  signal?: AbortSignal,
): Promise<Record<string, unknown>> {
  const response = await fetch(`${url}/nexus.v1.${rpc}`, {
    method: "POST",
    ...(signal && { signal }),
    headers: { "content-type": "application/json", "x-api-key": apiKey },
    body: JSON.stringify(request),
  });
  const body = await response.text();
  if (!response.ok) throw new Error(`${rpc} ended with ${response.status}: ${body}`);
  return JSON.parse(body) as Record<string, unknown>;
}

/** Calls one daemon, as its admin unless another API key is given, until the signal if there is one. */
export type Call = (
  rpc: string,
  request: object,
  apiKey?: string,
  signal?: AbortSignal,
) => Promise<Record<string, unknown>>;
