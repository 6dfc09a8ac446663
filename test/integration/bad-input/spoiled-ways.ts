import { type HostSettings, hostKind } from '../../../lib/http/host.ts';
import type { Fault, Target } from './draft.ts';
import { garble } from './spoiled-senders.ts';
import { CANARY, TEXTS } from './wrong-values.ts';

const isChange = ({ contract }: Target) => contract.method !== 'GET';
const always = () => true;

export const ORIGIN_SECRET = 'what only the edge in front of these tests knows';
export const HOST_SETTINGS: HostSettings = {
  PDS_APP_ORIGIN: 'http://localhost:3001',
  PDS_DOMAIN: 'pnptv.test',
  PDS_ORIGIN_SECRET: ORIGIN_SECRET,
};

const HOSTS = [
  'evil.example',
  'pnptv.test',
  'localhost',
  'localhost:3002',
  'localhost:3001:3001',
  'localhost:3001.',
  'x@localhost:3001',
  'localhost:3001/',
  'localhost:3001,localhost:3001',
  'localhost:3001.evil.example',
  'evil.example:3001',
  'alice.pnptv.test',
  'ALICE.pnptv.test.',
  '.pnptv.test',
  '..pnptv.test',
  'alice.pnptv.test,evil.example',
  "' OR 1=1 --.pnptv.test",
  `${CANARY.repeat(100)}.pnptv.test`,
  '[::1]',
  '127.0.0.1',
  '0.0.0.0:3001',
  '2130706433:3001',
  'ｌocalhost:3001',
];

const IGNORED = [
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-real-ip',
  'forwarded',
  'host',
  'x-http-method-override',
  'x-method-override',
  'x-original-url',
  'x-rewrite-url',
  'user-agent',
  'accept-language',
  'accept',
  'accept-encoding',
  'content-type',
  'content-length',
  'transfer-encoding',
  'range',
  'if-none-match',
  'expect',
  'referer',
  'origin',
  'sec-fetch-site',
  'x-amzn-trace-id',
  '__proto__x',
  'constructor',
];

/** What may be wrong with the way that a request comes: host, edge, page, and headers that nobody asked for. */
export const SPOILED_WAYS: readonly Fault[] = [
  {
    name: 'a foreign host',
    weight: 1,
    codes: ['NOT_FOUND', 'HOST_UNKNOWN', 'EDGE_REQUIRED'],
    late: true,
    fits: always,
    spoil: (draft, { contract }, chance) => {
      const host = chance.happens(0.7) ? chance.oneOf(HOSTS) : chance.oneOf(TEXTS);
      draft.headers['x-pds-host'] = host;
      return contract.host === 'member' || hostKind(HOST_SETTINGS, host.toLowerCase()) !== 'app';
    },
  },
  {
    name: 'no proof of the edge',
    weight: 1,
    codes: ['EDGE_REQUIRED'],
    late: true,
    fits: always,
    spoil: (draft, _, chance) => {
      const name = chance.oneOf(['x-origin-secret', 'x-origin-secret', 'x-pds-host']);
      draft.headers[name] =
        name === 'x-pds-host' ? undefined : garble(draft.headers['x-origin-secret'] ?? '', chance);
      return true;
    },
  },
  {
    name: 'a foreign page',
    weight: 1,
    codes: ['ORIGIN_FORBIDDEN'],
    late: true,
    fits: isChange,
    spoil: (draft, _, chance) => {
      const [name, value] = chance.oneOf([
        ...['same-site', 'cross-site', 'none', '', 'SAME-ORIGIN', 'same-origin,same-origin', CANARY].map(
          (site) => ['sec-fetch-site', site] as const,
        ),
        ...[
          'null',
          '',
          'https://evil.example',
          'http://localhost:3001.evil.example',
          'http://localhost:3001/',
        ].map((origin) => ['origin', origin] as const),
        ['origin', chance.oneOf(TEXTS)] as const,
      ]);
      draft.headers[name] = value;
      return true;
    },
  },
  {
    name: 'headers that mean nothing here',
    weight: 1,
    late: true,
    // A read that redirects is a step of a login: it leaves something behind.
    fits: ({ contract: { method, redirect } }) => method === 'GET' && !redirect,
    spoil: (draft, _, chance) => {
      for (let left = chance.oneOf([1, 1, 2, 200]); left > 0; left -= 1) {
        draft.headers[chance.oneOf(IGNORED)] = chance.oneOf(TEXTS);
      }
      return true;
    },
  },
];
