import { AgentText, hex } from "./shown_body.js";
import { Facts } from "./view.js";

/** A plan that a person decides, as `nexus.v1.HeldPlan` has it: its texts are escaped. */
interface ShownPlan {
  readonly plan?:
    | {
        readonly userId: string;
        readonly reason: string;
        readonly requests: readonly {
          readonly provider: string;
          readonly label: string;
          readonly method: string;
          readonly url: string;
          readonly body: { readonly [name: string]: string };
          readonly count?: number | undefined;
        }[];
      }
    | undefined;
  readonly caller: string;
  readonly digest: Uint8Array;
  readonly used: readonly number[];
}

/** What it covers. */
export function PlanRequests({ held: { plan, used } }: { readonly held: ShownPlan }) {
  return (
    <ol>
      {(plan?.requests ?? []).map(({ provider, label, method, url, body, count }, at) => {
        const fields = Object.entries(body);
        return (
          <li>
            <p><code class="request">{method} {url}</code></p>
            <p class="soft">
              <b>{count === undefined ? "Any number of requests" : count === 1 ? "One request" : `${count} requests`}</b>
              {used[at] ? `, ${used[at]} of them sent` : ""} at <bdi>{provider}</bdi>{label !== "" && <> (<bdi>{label}</bdi>)</>},{" "}
              {fields.length === 0 ? <b>with any body</b> : "with a body of these fields:"}
            </p>
            {fields.length > 0 && <Facts of={fields.map(([name, template]) => [name, <code class="request">{template}</code>] as const)} />}
          </li>
        );
      })}
    </ol>
  );
}

/** Who asks, and what the agent says that it is for. */
export function PlanTask({ held: { plan, caller, digest } }: { readonly held: ShownPlan }) {
  const facts = [
    ["Caller", <bdi>{caller}</bdi>],
    ["User", <bdi>{plan?.userId}</bdi>],
    ["Digest", <code>{hex(digest)}</code>],
  ] as const;
  return (
    <>
      <Facts of={facts} />
      <p>The agent says:</p>
      <AgentText text={plan?.reason ?? ""} />
    </>
  );
}
