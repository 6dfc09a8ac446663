import type { Route } from './article.ts';

/** The header by which a request is admitted, and what to put in it. */
type Credential = { name: string; 'x-placeholder': string };

/** The example of a request that goes well, for a shell. */
export function curlLine(route: Route, credential: Credential | undefined): string {
  const { method, path, origin, security, parameters, requestBody, responses } = route;
  const body = requestBody?.content['application/json'];
  const given = parameters.filter(({ example }) => example !== undefined);
  const placed = (place: string) => given.filter((parameter) => parameter.in === place);
  const inPlace = placed('path').reduce(
    (at, { name, example }) => at.replace(`{${name}}`, encodeURIComponent(String(example))),
    path,
  );
  const query = placed('query').map(({ name, example }) => `${name}=${encodeURIComponent(String(example))}`);
  const url = origin + inPlace + (query.length > 0 ? `?${query.join('&')}` : '');
  const headers = [
    ...placed('header').map(({ name, example }) => `${name}: ${example}`),
    ...(credential ? [`${credential.name}: ${credential['x-placeholder']}`] : []),
    ...(body ? ['Content-Type: application/json'] : []),
  ];
  const showsCookie = security.some(({ session }) => session) || placed('cookie').length > 0;
  const answers = Object.values(responses);
  const command = [
    'curl',
    ...(answers.some((answer) => 'location' in answer.headers) ? ['-i'] : []),
    ...(method === 'GET' ? [] : [`-X ${method}`]),
    ...(showsCookie ? ['-b cookies.txt'] : []),
    ...(answers.some((answer) => 'set-cookie' in answer.headers) ? ['-c cookies.txt'] : []),
  ].join(' ');
  return [
    command,
    ...headers.map((header) => `-H '${header}'`),
    ...(body ? [`-d '${JSON.stringify(body.example)}'`] : []),
    `'${url}'`,
  ].join(headers.length > 0 ? ' \\\n  ' : ' ');
}
