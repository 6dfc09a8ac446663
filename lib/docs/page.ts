import { createHash } from 'node:crypto';
import { article, type Route } from './article.ts';
import { Html, html, prose } from './html.ts';
import type { OpenApiDocument } from './openapi.ts';
import { PAGE_STYLE } from './page-style.ts';
import { generalRefusals } from './refusal-tables.ts';

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
${info.description.split('\n\n').map(
  (paragraph) => html`<p>${prose(paragraph)}</p>
`,
)}<p>A login sets the cookie <code>__Host-session</code>; <code>curl -c cookies.txt</code> keeps it and
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
  )}
<h4><a href="#refusals">Refusals that many routes share</a></h4></nav>
${generalRefusals(document)}
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
