import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { type OpenApiDocument, openApiDocument } from '../../lib/docs/openapi.ts';
import type { Operation } from '../../lib/docs/operation.ts';

/** What came back over the wire. */
export type Answered = { status: number; contentType: string | null | undefined; text: string };

const document = openApiDocument({ PDS_APP_ORIGIN: 'http://localhost:3001', PDS_DOMAIN: 'pnptv.test' });
const schemaAt = schemasOf(document);
const operations = Object.entries(document.paths).map(([path, methods]) => ({
  path,
  pattern: new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`),
  methods,
}));

/**
 * Throws unless the answer to a request is one that /api/openapi.json knows: its status, its type, each field and the
 * error's code. What no route gets to see (another path, another method) is none of its business.
 */
export function expectDocumented(method: string, path: string, answered: Answered): void {
  const { pathname } = new URL(path, 'http://localhost');
  const found = operations.find(({ pattern }) => pattern.test(pathname));
  const verb = method.toLowerCase();
  const operation = found?.methods[verb];
  if (!found || !operation) return;
  const problem = problemOf(operation, ['paths', found.path, verb], answered);
  if (problem) throw new Error(`${method} ${path} answered ${answered.status}, which ${problem}`);
}

function problemOf(operation: Operation, at: readonly string[], { status, contentType, text }: Answered) {
  const response = operation.responses[status];
  if (!response) return 'is not documented for this route';
  const [type, media] = Object.entries(response.content)[0] ?? [''];
  if (essence(type) !== essence(contentType ?? '')) return `is ${contentType}, not ${type}`;
  if (!media || essence(type) !== 'application/json') return undefined;
  const validate = schemaAt([...at, 'responses', String(status), 'content', type, 'schema']);
  if (validate(JSON.parse(text))) return undefined;
  const errors = validate.errors?.map(({ instancePath, message }) => `${instancePath} ${message}`);
  return `departs from its documentation: ${errors?.join('; ')} in ${text.slice(0, 300)}`;
}

/** A media type without its parameters, which differ in how they are written. */
function essence(contentType: string): string {
  return contentType.split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/** Finds the schemas of a document by their place in it. */
export function schemasOf(openapi: OpenApiDocument): (at: readonly string[]) => ValidateFunction {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats.default(ajv);
  ajv.addSchema(openapi, 'api');
  return (at) => {
    const pointer = at.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1')));
    const validate = ajv.getSchema(`api#/${pointer.join('/')}`);
    if (!validate) throw new Error(`there is no schema at ${at.join(' ')}`);
    return validate;
  };
}
