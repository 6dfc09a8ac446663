import { openapiJson } from '../../lib/docs/api.ts';
import { openApiDocument } from '../../lib/docs/openapi.ts';
import { openStaticApi } from '../../lib/http/static-runtime.ts';
import { route } from '../../lib/http/route.ts';

const api = await openStaticApi();
const answer = {
  body: JSON.stringify(openApiDocument(api.hosts)),
  contentType: 'application/json',
  cacheControl: 'public, max-age=300',
};

export const handler = route(openapiJson, api, () => answer);
