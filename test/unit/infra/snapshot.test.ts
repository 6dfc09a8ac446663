import { expect, it } from 'vitest';
import { PRODUCTION, synthesize } from './synthesized.ts';

/** What follows from the rest, or has a test of its own. */
const TOLD_ELSEWHERE =
  /^AWS::(EC2::(?!Security)|IAM::Role|Logs|Lambda::(Permission|Version)|ApiGatewayV2::(Route|Integration)|CloudWatch)/;

/**
 * One look at the whole: every resource with the properties that matter in a review, without what changes by itself.
 * A difference here is a difference of the deployment; if it is meant, `vitest -u`.
 */
it('deploys what it deployed before', () => {
  const templates = synthesize(PRODUCTION);
  const seen = Object.fromEntries(
    Object.entries(templates).map(([name, template]) => {
      const resources = Object.entries<{ Type: string }>(template.toJSON().Resources);
      return [
        name,
        normalise(Object.fromEntries(resources.filter(([, { Type }]) => !TOLD_ELSEWHERE.test(Type)))),
      ];
    }),
  );
  expect(seen).toMatchSnapshot();
});

function normalise(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(normalise);
  if (typeof value !== 'object' || value === null) return typeof value === 'string' ? unhash(value) : value;
  return Object.fromEntries(
    Object.entries(value)
      // A version's logical id holds a hash of the function; the dashboard's body repeats every metric.
      .filter(([key]) => key !== 'DashboardBody' && key !== 'Metadata')
      .map(([key, inner]) => [
        key.replace(/(CurrentVersion[0-9A-F]{8})[0-9a-f]{32}/, '$1'),
        normalise(inner),
      ]),
  );
}

function unhash(text: string): string {
  return text
    .replace(/\b[0-9a-f]{64}(\.zip)?\b/g, 'ASSET')
    .replace(/(CurrentVersion[0-9A-F]{8})[0-9a-f]{32}/g, '$1');
}
