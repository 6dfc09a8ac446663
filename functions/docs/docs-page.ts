import { docsPage } from '../../lib/docs/api.ts';
import { openApiDocument } from '../../lib/docs/openapi.ts';
import { renderPage } from '../../lib/docs/page.ts';
import { route } from '../../lib/http/route.ts';
import { openStaticApi } from '../../lib/http/static-runtime.ts';

const api = await openStaticApi();
const answer = {
  ...renderPage(openApiDocument(api.hosts)),
  contentType: 'text/html; charset=utf-8',
  cacheControl: 'public, max-age=300',
};

export const handler = route(docsPage, api, () => answer);
