import { contract } from '../http/contract.ts';

export const openapiJson = contract({
  operationId: 'openapiJson',
  summary: 'This description of every route, as OpenAPI 3.1',
  method: 'GET',
  path: '/api/openapi.json',
  access: 'public',
  host: 'app',
  bare: { contentType: 'application/json', example: { openapi: '3.1.1' } },
});
