/** A route of an HTTP API, e.g. `GET /api/pds/backups/{id}`, `ANY /{proxy+}` or `$default`. */
export type Route = { routeKey: string; integrationId: string };

export type RouteMatch = { route: Route; pathParameters: Record<string, string> };

/**
 * The route that answers a request: a full match before a greedy one, a named method before ANY, `$default` last.
 * A path whose percent-encoding is broken throws URIError.
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html
 */
export function matchRoute(routes: readonly Route[], method: string, path: string): RouteMatch | undefined {
  const segments = path.split('/').map(decodeURIComponent);
  return routes
    .flatMap((route) => {
      const match = matchOne(route, method, segments);
      return match ? [{ route, ...match }] : [];
    })
    .sort((a, b) => a.rank - b.rank)
    .map(({ route, pathParameters }) => ({ route, pathParameters }))
    .at(0);
}

function matchOne({ routeKey }: Route, method: string, segments: readonly string[]) {
  if (routeKey === '$default') return { rank: Number.POSITIVE_INFINITY, pathParameters: {} };
  const [routeMethod, pattern = ''] = routeKey.split(' ');
  if (routeMethod !== method && routeMethod !== 'ANY') return undefined;
  const pathParameters: Record<string, string> = {};
  const parts = pattern.split('/');
  let rank = routeMethod === 'ANY' ? 1 : 0;
  for (const [index, part] of parts.entries()) {
    const [, name, greedy] = /^\{(.+?)(\+)?\}$/.exec(part) ?? [];
    const segment = segments[index];
    if (name === undefined) {
      if (part !== segment) return undefined;
    } else if (greedy) {
      if (segments.length <= index || segments.slice(index).join('/') === '') return undefined;
      pathParameters[name] = segments.slice(index).join('/');
      return { rank: rank + 10_000, pathParameters };
    } else {
      if (!segment) return undefined;
      pathParameters[name] = segment;
      rank += 10;
    }
  }
  return parts.length === segments.length ? { rank, pathParameters } : undefined;
}
