import { createHash } from "node:crypto";
import type { HttpAnswer } from "../../server/kit.js";
import { baseStyle, safeHeaders } from "../../server/pages/kit.js";

/** Of all that the listener answers: nothing runs but its own script, and forms lead nowhere else. */
export const passkeyHeaders = {
  ...safeHeaders,
  "content-security-policy":
    "default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  // With `no-referrer` a browser would send its own forms with `Origin: null`.
  "referrer-policy": "same-origin",
} as const;

/**
 * Has the browser sign the challenge of a form, puts the answer (Web Authentication, sections 5.1.3 and 5.1.4) into its field `credential`,
 * and sends it. Counts down what is left of the hold.
 */
const scriptText = `"use strict";
const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\\+/g, "-").replace(/\\//g, "_").replace(/=+$/, "");
const form = document.querySelector("form[data-challenge]");
const trouble = document.querySelector("[data-trouble]");
const ask = ({ challenge, rpId, name, user }) => {
  const common = { challenge: bytes(challenge), timeout: 120000 };
  if (name === undefined)
    return navigator.credentials.get({ publicKey: { ...common, rpId, userVerification: "required" } });
  return navigator.credentials.create({
    publicKey: {
      ...common,
      rp: { id: rpId, name: "nexusd" },
      user: { id: bytes(user), name, displayName: name },
      pubKeyCredParams: [-8, -7, -257].map((alg) => ({ type: "public-key", alg })),
      authenticatorSelection: { residentKey: "required", userVerification: "required" },
      attestation: "none",
    },
  });
};
const partsOf = (response) =>
  Object.fromEntries(
    ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]
      .filter((name) => response[name])
      .map((name) => [name, text(response[name])]),
  );
form?.addEventListener("submit", async (event) => {
  if (form.elements.credential.value) return;
  event.preventDefault();
  trouble.hidden = true;
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    const { id, rawId, type, response } = await ask(form.dataset);
    form.elements.credential.value = JSON.stringify({
      ...{ id, rawId: text(rawId), type, clientExtensionResults: {} },
      response: partsOf(response),
    });
    form.submit();
  } catch (error) {
    trouble.textContent = "No passkey answered (" + error.name + "). Try again.";
    trouble.hidden = false;
    button.disabled = false;
  }
});
const offsetMs = Number(document.body.dataset.now) - Date.now();
const left = document.querySelector("[data-until]");
const count = () => {
  const seconds = Math.max(0, Math.ceil((Number(left.dataset.until) - Date.now() - offsetMs) / 1000));
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const short = minutes + ":" + String(seconds % 60).padStart(2, "0");
  left.textContent = seconds === 0 ? "It has expired" : (hours ? hours + " h " + minutes + " min" : short) + " left";
  if (seconds === 0) for (const button of document.querySelectorAll("button")) button.disabled = true;
};
if (left) {
  count();
  setInterval(count, 1000);
}
`;

const styleText = `${baseStyle}body { padding: var(--s4); }
main { max-width: 40rem; margin: 0 auto; }
main > * + * { margin-top: var(--s4); }
.request { overflow-wrap: anywhere; white-space: pre-wrap; }
h1 .request { font-size: 1.15rem; font-weight: 600; }
pre.request { margin: 0 0 var(--s2); padding: var(--s3); border-radius: var(--round); background: var(--sunk); }
.problem { padding: var(--s3); border-radius: var(--round); background: var(--bad-wash); color: var(--bad); font-weight: 600; }
.left { color: var(--warn); font-weight: 600; }
form button { width: 100%; min-height: 3rem; }
`;

const style = fileOf("css", "text/css", styleText);
const script = fileOf("js", "text/javascript", scriptText);

export const stylePath = style[0];
export const scriptPath = script[0];

/** By path, what pages load. Their addresses change with them, so that browsers may keep them. */
export const pageFiles: ReadonlyMap<string, HttpAnswer> = new Map([style, script]);

function fileOf(ending: string, type: string, body: string): readonly [path: string, answer: HttpAnswer] {
  const version = createHash("sha256").update(body).digest("hex").slice(0, 12);
  const cached = { "cache-control": "private, max-age=31536000, immutable" };
  const headers = { ...passkeyHeaders, "content-type": `${type}; charset=utf-8`, ...cached };
  return [`/passkey-${version}.${ending}`, { status: 200, headers, body }];
}
