/** The kit of pages: what a page of an extension is built from. */

export { Area, type Field, Input, Select } from "./../views/fields.js";
export { Body, hex, indented } from "./../views/shown_body.js";
export { PlanRequests, PlanTask } from "./../views/shown_plan.js";
export { baseStyle } from "./../views/tokens.js";
export { CheckMark, type Children, document, Facts, Monogram, type View } from "./../views/view.js";
export {
  BrowserListener,
  type BrowserRefusal,
  type BrowserRequest,
  type BrowserVisit,
  sentForm,
} from "./browser_listener.js";
export { type AnswerPage, BrowserPages, type LeaderPage } from "./browser_pages.js";
export { hostOf, isEmbedded, isOwnFetch, isPrefetch } from "./browser_request.js";
export { type DescribeProvider, isWebUrl } from "./page_words.js";
export { safeHeaders } from "./pages.js";
