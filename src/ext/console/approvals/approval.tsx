import { ApprovalService, type HeldPlan, type HeldRequest } from "../../../gen/nexus/v1/approval_pb.js";
import { NotFound } from "../../../model/model.js";
import type { HttpAnswer } from "../../../server/kit.js";
import { Body, type Children, Facts, hex, Input, PlanRequests, PlanTask } from "../../../server/pages/kit.js";
import { consolePage, PostForm, seeOther } from "../kit/page.js";
import { Go, Moment } from "../kit/parts.js";
import type { PageRequest } from "../kit/request.js";
import { approvalsPath } from "../sessions/console_url.js";
import { askedFor, CallerLeft, factsOf, Headers, Line, TimeLeft } from "./held.js";

/** One request, whole. What leads here is its id, or a link that was signed for it. */
export async function approvalPage(request: PageRequest): Promise<HttpAnswer> {
  const { held, plan } = await askedAt(request);
  if (plan) return planPage(request, plan);
  if (!held) {
    const content = (
      <div class="card narrow">
        <p>This request or plan was decided, has expired, or never existed.</p>
        <p class="actions"><Go to={approvalsPath} text="All approvals" /></p>
      </div>
    );
    return consolePage(request, { title: "No such request", section: approvalsPath, content, status: 404 });
  }
  const choices = ["once", ...held.extents].map((extent, index) => (
    <label class="tick">
      <input type="radio" name="extent" value={extent} checked={index === 0} />{extentWords[extent] ?? extent}
    </label>
  ));
  const content = (
    <div class="card">
      <p class="large"><Line held={held} /></p>
      <TimeLeft held={held} nowMs={request.nowMs} />
      <CallerLeft held={held} />
      <Body held={held} showsDigest={true} />
      {held.headers.length > 0 && <h2>Headers</h2>}
      <Headers held={held} />
      <h2>Who asks</h2>
      <Facts of={[...factsOf(held), ["Digest", <code>{hex(held.digest)}</code>]]} />
      <Approve request={request} held={held}>
        <fieldset><legend>Approve</legend>{choices}</fieldset>
      </Approve>
      <Deny request={request} held={held} />
      <p><Go to={approvalsPath} text="Not now" kind="quiet" /></p>
    </div>
  );
  return consolePage(request, { title: "Approve a request?", section: approvalsPath, content });
}

function planPage(request: PageRequest, plan: HeldPlan): HttpAnswer {
  const isWaiting = plan.approver === "";
  const content = (
    <div class="card">
      {isWaiting
        ? <p>nexusd sends all of these requests until the plan ends, and does not ask about them again. A rule that denies still denies.</p>
        : <p>Approved by <bdi>{plan.approver}</bdi>.</p>}
      <p class="left">Ends <Moment time={plan.expiresAt} nowMs={request.nowMs} /></p>
      <h2>Requests</h2>
      <PlanRequests held={plan} />
      <h2>Who asks</h2>
      <PlanTask held={plan} />
      {isWaiting && <Approve request={request} held={plan} />}
      <Deny request={request} held={plan} text={isWaiting ? "Deny" : "End the plan"} />
      <p><Go to={approvalsPath} text="Not now" kind="quiet" /></p>
    </div>
  );
  const title = isWaiting ? "Approve a plan?" : "A plan in force";
  return consolePage(request, { title, section: approvalsPath, content });
}

const extentWords: Readonly<Record<string, string>> = {
  once: "this request, once",
  session: "this request and, in its session, all requests of this rule",
  hour: "this request and, for an hour, all requests of this rule and caller",
};

interface AnswerForm {
  readonly request: PageRequest;
  readonly held: Pick<HeldRequest, "id" | "digest" | "passkeyUrl" | "needsPasskey">;
}

/** @param children what is approved beyond the request */
export function Approve({ request, held, children }: AnswerForm & Partial<Children>) {
  const { passkeyUrl, needsPasskey } = held;
  const withPasskey = passkeyUrl !== "" && <p class="actions"><a class="button" href={passkeyUrl}>Approve with a passkey</a></p>;
  if (needsPasskey)
    return withPasskey || <p class="problem">Only a passkey approves here, and nobody has registered one: <code>nexusd approvers add</code></p>;
  return (
    <PostForm request={request} action={`${approvalsPath}/${held.id}`} class="approve">
      <input type="hidden" name="digest" value={hex(held.digest)} />
      {children}
      <button type="submit" name="answer" value="yes">Approve</button>
    </PostForm>
  );
}

/** A form of its own, so that Enter in its text never approves. */
export function Deny({ request, held, text = "Deny" }: AnswerForm & { readonly text?: string }) {
  const id = `reason-${held.id}`;
  return (
    <PostForm request={request} action={`${approvalsPath}/${held.id}`} class="deny">
      <input type="hidden" name="digest" value={hex(held.digest)} />
      <Input name="reason" id={id} label="Reason for a denial" hint="One line, if you want: the agent reads it." maxLength={300} />
      <button type="submit" name="answer" value="no" class="danger">{text}</button>
    </PostForm>
  );
}

/** What the address names. */
async function askedAt(request: PageRequest) {
  const { id: given = "" } = request.params;
  const { requests, plans } = await askedFor(request, given.includes(".") ? given : "");
  const isNamed = ({ id }: { readonly id: string }) => id === given.split(".", 1)[0];
  return { held: requests.find(isNamed), plan: plans.find(isNamed) };
}

/** @throws NotFound for what is no answer */
export async function answerRequest({ call, params }: PageRequest, form: URLSearchParams): Promise<HttpAnswer> {
  const answer = form.get("answer");
  if (answer !== "yes" && answer !== "no") throw new NotFound("request");
  const approve = answer === "yes";
  const extent = approve ? (form.get("extent") ?? "").replace(/^once$/, "") : "";
  const digest = Buffer.from(form.get("digest") ?? "", "hex");
  const { id = "" } = params;
  const reason = approve ? "" : (form.get("reason") ?? "");
  const answered = { id, digest, approve, extent, reason };
  const { missing } = await call(ApprovalService.method.decideHeldRequest, answered);
  const said = missing > 0 ? "approved_in_part" : "request_sent";
  return seeOther(approvalsPath, approve ? said : "request_refused");
}
