import { durationMs } from "@bufbuild/protobuf/wkt";
import type { ExpiryClass, GetActivityResponse } from "../../../gen/nexus/v1/status_pb.js";
import { formatCount, formatDuration } from "../../../model/quantity_text.js";
import { type Html, html } from "../../../server/pages/html.js";

/** Tokens by the time until they end. */
export function expiryList({ expiries, connectionsCounted, connectionsStored }: GetActivityResponse): Html {
  const most = Math.max(1, ...expiries.map(({ count }) => Number(count)));
  const rows = expiries.map((expiry) => {
    const count = Number(expiry.count);
    const kept = Number(expiry.refreshable);
    return html`<tr><th scope="row">${wordsOf(expiry)}</th>
<td><b>${formatCount(count)}</b></td>
<td>${formatCount(kept)}</td>
<td class="bar">${barOf(count, kept, most)}</td></tr>`;
  });
  const isSample = connectionsCounted < connectionsStored;
  return html`<table class="numbers">
<thead><tr><th scope="col">Ends</th><th scope="col">Tokens</th><th scope="col">Refreshable</th><th scope="col" class="bar"><span class="hidden">Share</span></th></tr></thead>
<tbody>
${rows}
</tbody>
</table>
${
  isSample
    ? html`<p class="soft">A sample: ${formatCount(Number(connectionsCounted))} connections of ${formatCount(Number(connectionsStored))} were looked at.</p>`
    : undefined
}`;
}

function wordsOf({ within, unlimited }: ExpiryClass): string {
  if (unlimited) return "Not known, or never";
  if (within === undefined) return "Later";
  const withinMs = durationMs(within);
  return withinMs === 0 ? "Has ended" : `Within ${formatDuration(withinMs)}`;
}

function barOf(count: number, kept: number, most: number): Html {
  const whole = 200;
  const widthOf = (part: number): string => ((part / most) * whole).toFixed(1);
  return html`<svg viewBox="0 0 ${whole} 10" preserveAspectRatio="none" aria-hidden="true"><rect class="ends" width="${widthOf(count)}" height="10"/><rect class="refreshed" width="${widthOf(kept)}" height="10"/></svg>`;
}
