import type { TemplateKind } from "../../../model/access/access.js";

/** Longer paths are not recorded. */
const maxPath = 1_024;
const maxTemplate = 512;
const maxWord = 40;

/** What follows such a segment is never kept, whatever it looks like. */
const secretive = /^(tokens?|secrets?|passwords?|api[-_]?keys?|hooks?|webhooks?|invites?|bot)$/i;
/** A word of so few letters can be one of these, but has no digit. */
const hex = /^((?=.*\d)[0-9a-f]{6,7}|[0-9a-f]{8,})$/i;
/** As issuers mark their keys. */
const marked = /^(sk|pk|rk|gh[a-z]|github_pat|glpat|xox[a-z]|whsec|shp[a-z]{2}|eyj)[-_.]/i;

/**
 * A path with the kind of each id in its place. A segment stays only if it looks like a word: the rest can be the id of a person's data, or a
 * secret.
 *
 * @param path canonical, without query @returns undefined of one that is too long
 */
export function pathTemplate(path: string): string | undefined {
  if (path.length > maxPath) return undefined;
  const segments = path.split("/");
  const template = segments
    .map((segment, at) => segmentTemplate(segment, secretive.test(segments[at - 1] ?? "")))
    .join("/");
  return template.length > maxTemplate ? undefined : template;
}

function segmentTemplate(segment: string, isSecret: boolean): string {
  if (segment === "") return "";
  if (!isSecret && !hex.test(segment) && isWord(segment)) return segment;
  const id = `{${kindOf(segment)}}`;
  // `documents/ID:batchUpdate`: what is done with it.
  const at = segment.lastIndexOf(":");
  const verb = segment.slice(at + 1);
  if (isSecret || at < 1 || !/^[a-z]+([A-Z][a-z]+)*$/.test(verb) || !isWord(verb)) return id;
  return `${segmentTemplate(segment.slice(0, at), false)}:${verb}`;
}

function kindOf(segment: string): TemplateKind {
  if (/^[0-9]+$/.test(segment)) return "number";
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(segment)) return "uuid";
  if (hex.test(segment)) return "hex";
  if (/^[A-Za-z0-9_-]{16,}$/.test(segment)) return "token";
  return /[:%]/.test(segment) ? "any" : "id";
}

/** Words with dashes, dots or underscores between them, and a version or a short number here and there. */
function isWord(segment: string): boolean {
  if (segment.length > maxWord || marked.test(segment)) return false;
  const parts = segment.replace(/^[@$_.]/, "").split(/[-._~]/);
  return parts.some((part) => /[a-z]/i.test(part)) && parts.every(isWordPart);
}

function isWordPart(part: string): boolean {
  if (/^(\d{1,2}|v\d{1,3}((alpha|beta|rc)\d{0,2})?)$/i.test(part)) return true;
  const letters = /^([a-z]+)\d{0,2}$/i.exec(part)?.[1];
  if (letters === undefined || letters.length > 24) return false;
  const capitals = letters.replace(/[^A-Z]/g, "").length;
  if (capitals === letters.length) return capitals <= 8;
  // Letters that are drawn by lot have as many capitals as others, long rows without a vowel, or few vowels.
  if (capitals > letters.length / 2.5 || /[^aeiouy]{6}/i.test(letters)) return false;
  return letters.length <= 12 || letters.replace(/[^aeiouy]/gi, "").length >= letters.length / 4;
}
