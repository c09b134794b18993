import { randomBytes } from "node:crypto";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { HeldPlan, HeldRequest } from "../../gen/nexus/v1/approval_pb.js";
import { shareText } from "../../model/access/access.js";
import type { HttpAnswer } from "../../server/kit.js";
import { Body, type Children, document, Facts, hex, Input, PlanRequests, PlanTask, type View } from "../../server/pages/kit.js";
import type { Invitation } from "./approvers.js";
import type { Challenge } from "./ceremonies.js";
import { passkeyHeaders, scriptPath, stylePath } from "./page_files.js";

interface PageParts {
  readonly title: string;
  readonly heading?: View;
  readonly content: View;
  readonly status?: number;
  /** The daemon's time, by which the script counts. */
  readonly nowMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

function page({ title, heading = title, content, status = 200, nowMs, headers }: PageParts): HttpAnswer {
  const head = <><link rel="stylesheet" href={stylePath} /><script src={scriptPath} defer></script></>;
  const body = <main><h1>{heading}</h1>{content}</main>;
  return {
    status,
    headers: { ...passkeyHeaders, "content-type": "text/html; charset=utf-8", ...headers },
    body: document({ title: `${title} - nexusd`, head, body, nowMs }),
  };
}

/** What the script has a passkey sign, and where it puts the answer. */
interface PasskeyForm {
  readonly challenge: Challenge;
  readonly rpId: string;
  /** Why the last answer was refused. */
  readonly problem?: string | undefined;
}

function SignedFields({ challenge }: Pick<PasskeyForm, "challenge">) {
  return (
    <>
      <input type="hidden" name="nonce" value={challenge.nonce} />
      <input type="hidden" name="credential" value="" />
      <noscript><p class="problem">A passkey needs JavaScript.</p></noscript>
    </>
  );
}

function Trouble({ problem }: Pick<PasskeyForm, "problem">) {
  return <p class="problem" role="alert" data-trouble="" hidden={problem === undefined}>{problem}</p>;
}

/** One held request, whole: what it asks for first. @param path of the page */
export function requestPage(
  parts: PasskeyForm & { readonly held: HeldRequest; readonly path: string; readonly nowMs: number },
): HttpAnswer {
  const { held, path, nowMs, challenge, rpId, problem } = parts;
  const content = (
    <>
      <Left held={held} />
      <Trouble problem={problem} />
      {held.callerLeft && <p class="problem">Its caller does not wait any more. Your answer counts if it sends the same request again before the hold ends.</p>}
      <div class="card">
        <Facts of={factsOf(held)} />
      </div>
      <div class="card">
        <h2>Body</h2>
        <Body held={held} showsDigest={true} />
      </div>
      {held.headers.length > 0 && (
        <div class="card">
          <h2>Headers</h2>
          <Facts of={held.headers.map(({ name, value }) => [name, <code class="request">{value}</code>] as const)} />
        </div>
      )}
      <Answers path={path} challenge={challenge} rpId={rpId}>Your passkey approves this request, once, and nothing else.{held.approvers > 1 && ` It is sent once ${held.approvers} approvers have approved it.`}</Answers>
    </>
  );
  const heading = <code class="request">{held.method} {held.url}</code>;
  return page({ title: "Approve a request?", heading, content, nowMs, status: problem === undefined ? 200 : 403 });
}

/** The forms for a yes and a no. @param children what the yes means */
function Answers({ path, challenge, rpId, children }: Omit<PasskeyForm, "problem"> & Children & { readonly path: string }) {
  return (
    <>
      <form method="post" action={path} class="card" data-challenge={challenge.challenge} data-rp-id={rpId}>
        <input type="hidden" name="answer" value="yes" />
        <SignedFields challenge={challenge} />
        <p>{children}</p>
        <button type="submit">Approve with a passkey</button>
      </form>
      <form method="post" action={path} class="card">
        <input type="hidden" name="answer" value="no" />
        <Input name="reason" label="Reason for a denial" hint="One line, if you want: the agent reads it." maxLength={300} />
        <button type="submit" class="danger">Deny</button>
      </form>
    </>
  );
}

/** A plan, whole: what it covers first, and then what the agent says of it. @param path of the page */
export function planPage(
  parts: PasskeyForm & { readonly held: HeldPlan; readonly path: string; readonly nowMs: number },
): HttpAnswer {
  const { held, path, nowMs, challenge, rpId, problem } = parts;
  const content = (
    <>
      <Left held={held} />
      <Trouble problem={problem} />
      <div class="card"><PlanRequests held={held} /></div>
      <div class="card"><PlanTask held={held} /></div>
      <Answers path={path} challenge={challenge} rpId={rpId}>Your passkey approves all of these requests until the plan ends. nexusd does not ask about them again.</Answers>
    </>
  );
  return page({ title: "Approve a plan?", content, nowMs, status: problem === undefined ? 200 : 403 });
}

function factsOf(held: HeldRequest) {
  return [
    ["Caller", <bdi>{held.caller}</bdi>],
    ["Session", held.session !== "" && <bdi>{held.session}</bdi>],
    ["Rule", <bdi>line {held.ruleLine} of the policy file</bdi>],
    ["Reason", held.because !== "" && <bdi>{held.because}</bdi>],
    ["Account", <bdi>{held.userId} at {held.provider}</bdi>],
    ["Approvals", shareText(held) !== "" && <bdi>{shareText(held)}</bdi>],
    ...held.labels.map(({ label, request, rule }) => ["Session is", <bdi>{label}, since {request} ({rule})</bdi>] as const),
    ["Digest", <code>{hex(held.digest)}</code>],
  ] as const;
}

function Left({ held: { expiresAt } }: { readonly held: Pick<HeldRequest, "expiresAt"> }) {
  if (!expiresAt) return null;
  const untilMs = timestampMs(expiresAt);
  return <p class="left" role="timer" data-until={untilMs}>Expires at {new Date(untilMs).toISOString()}</p>;
}

/** @param code of the link */
export function registrationPage(
  parts: PasskeyForm & { readonly invitation: Invitation; readonly code: string; readonly path: string },
): HttpAnswer {
  const { invitation: { name }, code, path, challenge, rpId, problem } = parts;
  const content = (
    <>
      <Trouble problem={problem} />
      <form method="post" action={path} class="card" data-challenge={challenge.challenge} data-rp-id={rpId} data-name={name} data-user={randomBytes(16).toString("base64url")}>
        <input type="hidden" name="code" value={code} />
        <SignedFields challenge={challenge} />
        <p>With this passkey, <bdi>{name}</bdi> approves requests of agents that wait for a person. Keep it where agents cannot use it: on your phone, or on a security key.</p>
        <button type="submit">Register a passkey</button>
      </form>
    </>
  );
  return page({ title: `Register a passkey for ${name}?`, content, status: problem === undefined ? 200 : 403 });
}

/** Pages without a form: status, title, and a sentence. */
const notices = {
  approved: [200, "Approved", "The request is sent, once."],
  approvedInPart: [200, "Approved by you", "The request waits for another approver. The same link leads them to it."],
  denied: [200, "Denied", "The request is not sent."],
  planApproved: [200, "Approved", "nexusd sends what the plan covers until it ends. To end it sooner, deny it with nexusd approvals deny or in the console."],
  planDenied: [200, "Denied", "The plan covers nothing."],
  registered: [200, "Registered", "This passkey approves requests from now on. This link does not work again."],
  gone: [404, "No such request", "This request or plan was decided, has expired, or never existed."],
  usedLink: [410, "This link does not work", "A link registers one passkey, within ten minutes. Run nexusd approvers add for a new one."],
  notFound: [404, "Nothing here", "There is no page at this address."],
  methodNotAllowed: [405, "Not possible", "This address does not take such a request."],
  misdirected: [421, "Wrong address", "This page was asked for under a name that is not its own."],
  badRequest: [400, "Not understood", "Your browser sent a request that is malformed."],
  foreignRequest: [403, "Nothing was done", "This request did not come from a page of this address. Open the link again."],
  tooFast: [429, "Too fast", "Too many requests from your address. Wait a moment, then load this page again."],
  tooLarge: [413, "Too long", "What was sent is longer than any answer. Nothing was done."],
  notYet: [503, "Not opened yet", "Your browser asked for this page ahead of time. Load it again."],
  internalError: [500, "Something went wrong", "This is an error of the daemon. It was written into its log."],
} as const satisfies Readonly<Record<string, readonly [status: number, title: string, line: string]>>;

export function noticePage(which: keyof typeof notices, headers = {}): HttpAnswer {
  const [status, title, line] = notices[which];
  return page({ title, content: <p>{line}</p>, status, headers });
}

/** What a call refused, in its own words. */
export function refusedPage(status: number, message: string): HttpAnswer {
  return page({ title: "Not possible", content: <p class="problem" role="alert">{message}</p>, status });
}
