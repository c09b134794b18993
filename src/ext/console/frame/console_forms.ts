import { createHash, timingSafeEqual } from "node:crypto";
import type { Answer } from "../../../server/listen/http_listener.js";
import { type Html, html, type Part } from "../../../server/pages/html.js";
import { consoleHeaders } from "./console_headers.js";
import type { ConsoleVisit } from "./console_visit.js";

export const formTokenField = "form_token";

/** The token in the forms of a session: it follows from the token of the session, and that does not follow from it. */
export function formTokenOf(sessionToken: string): string {
  return createHash("sha256").update("nexus console form\n").update(sessionToken).digest("base64url");
}

/** In constant time. */
export function isFormToken(shown: string, expected: string): boolean {
  const [one, other] = [shown, expected].map((text) => createHash("sha256").update(text).digest());
  return one !== undefined && other !== undefined && timingSafeEqual(one, other);
}

/** A form that acts. @param action the path of a `ConsoleAction` @param content its fields and its button */
export function postForm(visit: ConsoleVisit, action: string, content: Part): Html {
  return html`<form method="post" action="${action}">
<input type="hidden" name="${formTokenField}" value="${visit.formToken}">
${content}
</form>`;
}

/** After an action (RFC 9110 section 15.4.4). @param notice a word of `notices`, which the next page says as a sentence */
export function seeOther(path: string, notice?: string): Answer {
  const mark = path.includes("?") ? "&" : "?";
  const location = notice === undefined ? path : `${path}${mark}${new URLSearchParams({ notice })}`;
  return { status: 303, headers: { ...consoleHeaders, location }, body: "" };
}
