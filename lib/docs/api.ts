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

export const docsPage = contract({
  operationId: 'docsPage',
  summary: 'The same as a page to read',
  method: 'GET',
  path: '/api/docs',
  access: 'public',
  host: 'app',
  bare: { contentType: 'text/html; charset=utf-8', example: '<!doctype html>…' },
});
