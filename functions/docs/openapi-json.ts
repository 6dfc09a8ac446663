import { openapiJson } from '../../lib/docs/api.ts';
import { openApiDocument } from '../../lib/docs/openapi.ts';
import { route } from '../../lib/http/route.ts';
import { openStaticApi } from '../../lib/http/static-runtime.ts';

const api = await openStaticApi();
const answer = {
  body: JSON.stringify(openApiDocument(api.hosts)),
  contentType: 'application/json',
  cacheControl: 'public, max-age=300',
};

export const handler = route(openapiJson, api, () => answer);
