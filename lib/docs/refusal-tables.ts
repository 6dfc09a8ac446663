import { ERROR_CODES, isErrorCode } from '../http/error-codes.ts';
import type { Route } from './article.ts';
import { type Html, html, prose, table } from './html.ts';
import type { OpenApiDocument } from './openapi.ts';
import { GATEWAY_STATUSES, KINDS } from './refusals.ts';

/** Once for all what a reader would else find under every route. */
export function generalRefusals(document: OpenApiDocument): Html {
  const ours = KINDS.flatMap(({ routes, refuseWith }) =>
    refusalRows(refuseWith, document).map((row) => [...row, html`${routes}`]),
  );
  const gateway = Object.entries(GATEWAY_STATUSES).map(([status, { message, summary }]) => [
    html`${status}`,
    html`${message}`,
    html`${summary}`,
    html`API Gateway`,
  ]);
  return html`<section id="refusals"><h2>Refusals that many routes share</h2>
<p>Under each route stand only those of its own. What API Gateway in front of all routes refuses itself has no more
than a <code>message</code>.</p>
${table([...ours, ...gateway])}</section>`;
}

/** What only this route, or few others, may answer. */
export function ownRefusals({ responses }: Route, document: OpenApiDocument): Html | undefined {
  const general = new Set<string>(KINDS.flatMap(({ refuseWith }) => refuseWith));
  const own = Object.values(responses)
    .flatMap(({ content }) => Object.keys(content['application/json']?.examples ?? {}))
    .filter((code) => isErrorCode(code) && !general.has(code));
  if (own.length === 0) return undefined;
  return html`<details><summary>Refusals</summary>${table(refusalRows(own, document))}
<p class="who">And those that <a href="#refusals">many routes share</a>.</p></details>`;
}

function refusalRows(codes: readonly string[], { components }: OpenApiDocument): Html[][] {
  return codes.map((code) => [
    html`${isErrorCode(code) ? ERROR_CODES[code].status : undefined}`,
    html`<code>${code}</code>`,
    html`${prose(components.examples[code]?.summary)}`,
  ]);
}
