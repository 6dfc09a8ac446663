import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The DID, and the handle, of the n-th account. */
export const didOf = (n: number) => `did:web:m${n}-aaaaaa.pnptv.test`;
export const handleOf = (n: number) => `m${n}.pnptv.test`;
/** A token as a PDS writes it: a JWT that nobody here verifies. */
export function tokenOf(did: string, serial: number): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + 90 * 86_400;
  return `${part({ typ: 'refresh+jwt' })}.${part({ sub: did, exp, jti: serial })}.c2lnbmF0dXJl`;
}

export type ManyAccounts = Awaited<ReturnType<typeof startManyAccounts>>;

/**
 * A PDS with very many accounts, as far as a sweep sees one: `_health`, `describeServer`, `listRepos`, `getRepoStatus`,
 * `refreshSession`, in the shape in which `@atproto/pds` answers; and members' names. `accounts` may be changed while it
 * runs. Counts what it is asked.
 */
export async function startManyAccounts(options: { accounts: number; foreign?: number }) {
  const state = {
    ...options,
    /** Not active, by number. */
    inactive: new Set<number>(),
    /** Stops listing there, with this answer. */
    breakAt: undefined as number | undefined,
    down: false,
    noList: false,
    noHealth: false,
    serial: 0,
  };
  const asked = new Map<string, number>();
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const nsid = pathname.split('/').at(-1) ?? '';
    asked.set(nsid, (asked.get(nsid) ?? 0) + 1);
    if (state.down) return json(response, 503, { error: 'Unavailable' });
    if (nsid === '_health' && state.noHealth) return json(response, 501, { error: 'MethodNotImplemented' });
    if (nsid === '_health') return json(response, 200, { version: '0.0.0' });
    if (nsid === 'com.atproto.server.describeServer')
      return json(response, 200, { did: 'did:web:many.test' });
    if (nsid === 'com.atproto.sync.listRepos') {
      if (state.noList) return json(response, 501, { error: 'MethodNotImplemented' });
      const total = state.accounts + (state.foreign ?? 0);
      const from = Number(searchParams.get('cursor') ?? 0);
      if (state.breakAt !== undefined && from >= state.breakAt)
        return json(response, 500, { error: 'Broken' });
      const to = Math.min(total, from + Number(searchParams.get('limit')));
      const repos = Array.from({ length: to - from }, (_, index) => repoOf(from + index));
      return json(response, 200, { ...(repos.length > 0 && { cursor: String(to) }), repos });
    }
    if (nsid === 'com.atproto.sync.getRepoStatus') {
      const did = searchParams.get('did') ?? '';
      const n = Number(/m(\d+)-/.exec(did)?.[1]);
      if (n >= state.accounts) return json(response, 400, { error: 'RepoNotFound' });
      return json(response, 200, { did, ...statusOf(n) });
    }
    if (nsid === 'com.atproto.server.refreshSession') {
      const [, claims = ''] = (request.headers.authorization ?? '').split('.');
      const { sub } = JSON.parse(Buffer.from(claims, 'base64url').toString());
      state.serial += 1;
      return json(response, 200, {
        did: sub,
        handle: 'somebody.test',
        accessJwt: tokenOf(sub, state.serial),
        refreshJwt: tokenOf(sub, state.serial),
      });
    }
    json(response, 501, { error: 'MethodNotImplemented' });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');

  // Those of other people come first: they were here before us.
  function repoOf(place: number) {
    const n = place - (state.foreign ?? 0);
    const head = 'bafyreib2rxk3rybk3aobmv5cjuql3bm2twh4jo5uxgf5kpqcsgz7soitae';
    return n < 0
      ? { did: `did:plc:foreign${place}`, head, rev: '3kabcdefghi2c', active: true }
      : { did: didOf(n), head, rev: '3kabcdefghi2c', ...statusOf(n) };
  }
  function statusOf(n: number) {
    return state.inactive.has(n) ? { active: false, status: 'deactivated' } : { active: true };
  }

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    state,
    asked,
    requests: () => [...asked.values()].reduce((sum, count) => sum + count, 0),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
