/** One act of the daemon, the provider, or the user; see control.ts. */
export async function act(name: string, fields: Record<string, string> = {}): Promise<string> {
  const init = { method: "POST", body: JSON.stringify(fields), signal: AbortSignal.timeout(60_000) };
  const response = await fetch(`${process.env["CONTROL"]}/${name}`, init);
  if (!response.ok) throw new Error(await response.text());
  return (await response.json()) as string;
}
