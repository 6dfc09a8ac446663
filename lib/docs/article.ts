import { curlLine } from './curl.ts';
import { fieldRows } from './fields.ts';
import { type Html, html, prose, table } from './html.ts';
import type { JsonSchema } from './json-schema.ts';
import type { OpenApiDocument } from './openapi.ts';
import type { Media, Operation, Response } from './operation.ts';
import type { Parameter } from './parameters.ts';
import { ownRefusals } from './refusal-tables.ts';
import type { StepUp } from './step-up.ts';

export type Route = Operation & { method: string; path: string; origin: string };

/** All about one route. */
export function article(route: Route, document: OpenApiDocument): Html {
  const { operationId, method, path, summary, parameters, requestBody, responses } = route;
  const body = requestBody?.content['application/json'];
  const [status = '', success] = Object.entries(responses)[0] ?? [];
  const [media] = Object.values(success?.content ?? {});
  return html`<article id="${operationId}">
<h3>${method} ${path}</h3>
<p>${prose(summary)}</p>
<p class="who">${whoMay(route)}</p>
${proof(route, document)}
${confirmation(route)}
${parameters.length > 0 ? html`<h4>Parameters</h4>${table(parameters.map(parameterRow))}` : undefined}
<h4>Request</h4>
<pre>${curlLine(route, shownHeader(route, document))}</pre>
${body && html`<details><summary>Fields of the body</summary>${table(fieldRows(body.schema))}</details>`}
<h4>Answer</h4>
<pre>${exampleText(status, success, document)}</pre>
${answerFields(media)}
${ownRefusals(route, document)}
</article>
`;
}

function whoMay({ security: [required] }: Route): string {
  if (!required) return 'For anyone';
  if (required.backend) return 'For a backend that signs its requests';
  if (required.telegram) return 'For Telegram';
  return required.session?.includes('admin') ? 'For administrators' : 'For members who are logged in';
}

/** What a request shows in place of a session, in which header. */
function proof(route: Route, document: OpenApiDocument): Html | undefined {
  const scheme = shownHeader(route, document);
  return scheme && html`<p>With the header <code>${scheme.name}</code>: ${prose(scheme.description)}</p>`;
}

function shownHeader({ security }: Route, { components: { securitySchemes } }: OpenApiDocument) {
  const { backend, telegram } = securitySchemes;
  return security[0]?.backend ? backend : security[0]?.telegram && telegram;
}

/** What the step-up before it has to be for. */
function confirmation({ 'x-step-up': stepUp }: Route): Html | undefined {
  if (!stepUp) return undefined;
  const { operation, target, example } = stepUp;
  return html`<p>After a <a href="#stepUp">step-up</a> for <code>${operation}</code>, with ${targetName(target)}:</p>
<pre>${JSON.stringify(example)}</pre>`;
}

function targetName(target: StepUp['target']): Html | string {
  if (target === null) return 'no target';
  if (typeof target === 'string') return html`the value of <code>${target}</code> as its target`;
  const names = target.map((name, place) => html`${place > 0 ? ', ' : ''}<code>${name}</code>`);
  return html`${names}, as the request has them, as the fields of its target`;
}

/** Its body; before it the status and headers, where they are more than 200 and the request id. */
function exampleText(status: string, success: Response | undefined, { components }: OpenApiDocument): string {
  const head = Object.entries(success?.headers ?? {}).flatMap(([name, header]) => {
    const { example } = '$ref' in header ? (components.headers[lastPart(header.$ref)] ?? {}) : header;
    return example === undefined ? [] : [`${name}: ${example}`];
  });
  const [{ example } = { example: undefined }] = Object.values(success?.content ?? {});
  const body = typeof example === 'string' ? example : JSON.stringify(example, null, 2);
  return [
    ...(head.length > 0 ? [[`HTTP ${status}`, ...head].join('\n')] : []),
    ...(body === undefined ? [] : [body]),
  ].join('\n\n');
}

function answerFields(media: Media | undefined): Html | undefined {
  const data = media?.schema.properties?.data as JsonSchema | undefined;
  return data && html`<details><summary>Fields of the answer</summary>${table(fieldRows(data))}</details>`;
}

function parameterRow({ name, in: place, required, description, schema }: Parameter): Html[] {
  const byDefault = schema.default === undefined ? '' : `; ${schema.default} by default`;
  return [
    html`<code>${name}</code>`,
    html`${place}, ${required ? 'required' : 'optional'}${byDefault}`,
    html`${prose(description)}`,
  ];
}

function lastPart(ref: string): string {
  return ref.slice(ref.lastIndexOf('/') + 1);
}
