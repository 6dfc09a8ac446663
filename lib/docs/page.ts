import { createHash } from 'node:crypto';
import { fieldRows } from './fields.ts';
import { Html, html } from './html.ts';
import type { JsonSchema } from './json-schema.ts';
import type { OpenApiDocument } from './openapi.ts';
import type { Media, Operation, Parameter, Response } from './operation.ts';
import { PAGE_STYLE } from './page-style.ts';

type Route = Operation & { method: string; path: string; origin: string };

/** The document as a page that needs no script and nothing from elsewhere, and the policy that holds it to that. */
export function renderPage(document: OpenApiDocument): { body: string; contentSecurityPolicy: string } {
  const { info, tags } = document;
  const routes = routesOf(document);
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${info.title}: API</title>
<style>${new Html(PAGE_STYLE)}</style>
</head>
<body><main>
<h1>${info.title}: API</h1>
<p>${inline(info.description)}</p>
<p>A login sets the cookie <code>__Host-session</code>; <code>curl -c cookies.txt</code> keeps it and
<code>-b cookies.txt</code> shows it. That of a Mini App answers with a <code>token</code> instead, for the header
<code>Authorization: Bearer …</code>. The same for programs: <a href="/api/openapi.json">OpenAPI ${document.openapi}</a>.</p>
<nav>${tags.map(
    ({ name, description }) => html`<h4>${description}</h4>
<ul>${routes
      .filter(({ tags: [tag] }) => tag === name)
      .map(
        ({ operationId, method, path }) =>
          html`<li><a href="#${operationId}"><code>${method} ${path}</code></a></li>`,
      )}</ul>`,
  )}</nav>
${tags.map(
  ({ name, description }) =>
    html`<section><h2>${description}</h2>
${routes.filter(({ tags: [tag] }) => tag === name).map((route) => article(route, document))}</section>`,
)}
</main></body>
</html>
`;
  const hash = createHash('sha256').update(PAGE_STYLE).digest('base64');
  const contentSecurityPolicy = `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
  return { body: page.markup, contentSecurityPolicy };
}

function routesOf({ paths, servers }: OpenApiDocument): Route[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const { url = '', variables } = operation.servers?.[0] ?? servers[0] ?? {};
      const origin = url.replace('{name}', variables?.name.default ?? '');
      return { ...operation, method: method.toUpperCase(), path, origin };
    }),
  );
}

function article(route: Route, document: OpenApiDocument): Html {
  const { operationId, method, path, summary, parameters, requestBody, responses } = route;
  const body = requestBody?.content['application/json'];
  const [status = '', success] = Object.entries(responses)[0] ?? [];
  const [media] = Object.values(success?.content ?? {});
  return html`<article id="${operationId}">
<h3>${method} ${path}</h3>
<p>${summary}</p>
<p class="who">${whoMay(route)}</p>
${proof(route, document)}
${confirmation(route)}
${parameters.length > 0 ? html`<h4>Parameters</h4>${table(parameters.map(parameterRow))}` : undefined}
<h4>Request</h4>
<pre>${curlLine(route, body)}</pre>
${body && html`<details><summary>Fields of the body</summary>${table(fieldRows(body.schema))}</details>`}
<h4>Answer</h4>
<pre>${exampleText(status, success, document)}</pre>
${answerFields(media)}
<details><summary>Refusals</summary>${table(refusalRows(route, document))}</details>
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
function proof({ security }: Route, { components: { securitySchemes } }: OpenApiDocument): Html | undefined {
  const { backend, telegram } = securitySchemes;
  const scheme = security[0]?.backend ? backend : security[0]?.telegram && telegram;
  return scheme && html`<p>With the header <code>${scheme.name}</code>: ${inline(scheme.description)}</p>`;
}

/** What the step-up before it has to be for. */
function confirmation({ 'x-step-up': stepUp }: Route): Html | undefined {
  if (!stepUp) return undefined;
  const { operation, target } = stepUp;
  const on = target === null ? 'no target' : html`the value of <code>${target}</code> as its target`;
  return html`<p>After a <a href="#stepUp">step-up</a> for <code>${operation}</code>, with ${on}.</p>`;
}

function curlLine(
  { method, path, origin, security, parameters, responses }: Route,
  body: Media | undefined,
): string {
  const inPlace = parameters.reduce(
    (at, { name, example }) => at.replace(`{${name}}`, encodeURIComponent(String(example))),
    path,
  );
  const query = parameters
    .filter(({ in: place }) => place === 'query')
    .map(({ name, example }) => `${name}=${encodeURIComponent(String(example))}`);
  const url = origin + inPlace + (query.length > 0 ? `?${query.join('&')}` : '');
  return [
    'curl',
    ...(method === 'GET' ? [] : [`-X ${method}`]),
    ...(security.some(({ session }) => session) ? ['-b cookies.txt'] : []),
    ...(Object.values(responses).some(({ headers }) => 'set-cookie' in headers) ? ['-c cookies.txt'] : []),
    ...(body ? ["-H 'Content-Type: application/json'", `-d '${JSON.stringify(body.example)}'`] : []),
    `'${url}'`,
  ].join(body ? ' \\\n  ' : ' ');
}

/** Its body; before it the status and headers, where they are more than 200 and the request id. */
function exampleText(status: string, success: Response | undefined, { components }: OpenApiDocument): string {
  const head = Object.keys(success?.headers ?? {}).flatMap((name) => {
    const example = components.headers[name]?.example;
    return example === undefined ? [] : [`${name}: ${example}`];
  });
  const [{ example } = { example: undefined }] = Object.values(success?.content ?? {});
  const body = typeof example === 'string' ? example : JSON.stringify(example, null, 2);
  return [...(head.length > 0 ? [`HTTP ${status}`, ...head, ''] : []), body].join('\n');
}

function answerFields(media: Media | undefined): Html | undefined {
  const data = media?.schema.properties?.data as JsonSchema | undefined;
  return data && html`<details><summary>Fields of the answer</summary>${table(fieldRows(data))}</details>`;
}

function parameterRow({ name, required, description, schema }: Parameter): Html[] {
  const byDefault = schema.default === undefined ? '' : `; ${schema.default} by default`;
  return [
    html`<code>${name}</code>`,
    html`${required ? 'required' : 'optional'}${byDefault}`,
    html`${description}`,
  ];
}

function refusalRows({ responses }: Route, { components }: OpenApiDocument): Html[][] {
  return Object.entries(responses).flatMap(([status, { content }]) =>
    Object.entries(content['application/json']?.examples ?? {}).map(([code]) => [
      html`${status}`,
      html`<code>${code}</code>`,
      html`${components.examples[code]?.summary}`,
    ]),
  );
}

function table(rows: readonly (readonly Html[])[]): Html {
  return html`<table>${rows.map((cells) => html`<tr>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>\n`)}</table>`;
}

/** Text with `code` in it. */
function inline(text: string): Html[] {
  return text.split('`').map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : html`${part}`));
}
