import type { ConsentDone, StepUpRequest } from "../../domain/consent/consent.js";
import { formTokenField } from "../../domain/profiles/profiles.js";
import { accountText } from "../../model/credentials/account.js";
import type { HttpAnswer } from "../listen/http_listener.js";
import { Facts } from "../views/view.js";
import { formHeaders } from "./capture_form.js";
import { applicationOf, askerFacts, type DescribeProvider, ReturnSentence, ScopeList } from "./page_words.js";
import { personPage } from "./pages.js";

/** Where the button leads: the request to the provider is made, and pushed, when it is pressed. */
export const agreedPath = "/auth/continue";
/** Where the form that says no is sent. */
export const declinePath = "/auth/decline";

/**
 * What an application asks for after an API refused it, before the provider asks the person: the API chose the scopes, and nobody has
 * looked at them yet.
 *
 * @param state of the request
 */
export function stepUpPage(request: StepUpRequest, state: string, describe: DescribeProvider): HttpAnswer {
  const { missing, others, wantsSignIn } = request;
  const { displayName: provider, scopes: words } = describe(request);
  const query = new URLSearchParams({ state }).toString();
  const application = applicationOf(request);
  const content = (
    <>
      <p>
        {application === undefined ? "An application" : <>The application <b><bdi>{application}</bdi></b></>}{" "}
        acts with your account at {provider}. It was refused there, because{" "}
        {missing.length > 0
          ? "this is missing:"
          : wantsSignIn
            ? "you signed in too long ago for what it does, or in another way than that needs."
            : "what you allowed is not enough for what it does."}
      </p>
      <ScopeList of={missing} words={words} />
      {missing.length > 0 && wantsSignIn && <p>You must also sign in anew, or in another way.</p>}
      {others.length > 0 && <p>It asks again for what you allowed already:</p>}
      <ScopeList of={others} words={words} />
      <Facts of={askerFacts(request)} />
      <p>
        Continue only if you want to allow this: {provider} asks you next. If you say no, the application goes
        on with what you allowed before.<ReturnSentence {...request} />
      </p>
      <div class="actions">
        <a class="button" id="to-provider" href={`${agreedPath}?${query}`}>Continue to {provider}</a>
        <form method="post" action={`${declinePath}?${query}`}>
          <input type="hidden" name={formTokenField} value={request.formToken} />
          <button class="quiet" id="decline" type="submit">No, continue without</button>
        </form>
      </div>
    </>
  );
  const title = missing.length === 0 && wantsSignIn ? "Sign in again?" : "Allow more access?";
  return personPage({ title, provider, content, headers: formHeaders(request.returnUrl) });
}

/** The person consented, and no application asked for them back. @param done undefined when it is not known what of */
export function donePage(done: ConsentDone | undefined, describe: DescribeProvider): HttpAnswer {
  const close = <p>You can close this window.</p>;
  if (!done) {
    const content = <><p>Your account is connected.</p>{close}</>;
    return personPage({ title: "Connected", mark: "done", content });
  }
  const { displayName: provider, scopes: words } = describe(done);
  const { scopes = [] } = done;
  const account = accountText(done.account);
  const application = applicationOf(done);
  const content = (
    <>
      <p>Your account at {provider} is connected.</p>
      {done.isOther && (
        <p>It is another account than before: applications act with this one from now on.</p>
      )}
      <Facts of={[["Account", account && <bdi>{account}</bdi>], ...askerFacts(done)]} />
      {scopes.length > 0 && (
        <p>{application === undefined ? "The application" : <b><bdi>{application}</bdi></b>} can now:</p>
      )}
      <ScopeList of={scopes} words={words} />
      {close}
      <p class="note">
        To take this back, remove the access in the settings of your account at {provider}, or ask the people
        who run the application to revoke the connection.
      </p>
    </>
  );
  return personPage({ title: "Connected", provider, mark: "done", content });
}

/** The person declined more access, and no application asked for them back. @param provider for people */
export function declinedPage(provider: string): HttpAnswer {
  const content = (
    <>
      <p>Your account at {provider} stays connected, with the access that you allowed before.</p>
      <p>You can close this window.</p>
    </>
  );
  return personPage({ title: "Nothing was changed", provider, mark: "done", content });
}
