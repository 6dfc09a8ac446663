import { newK256Key } from '../../../lib/identity/keys.ts';

/** What the network or the PDS does with one call. Seconds are of the model's clock. */
export type Trouble =
  | 'none'
  | 'refused' // no connection
  | 'lost' // the connection breaks before the PDS reads the request
  | 'answer_lost' // the PDS does the work, and the connection breaks
  | 'late' // the connection breaks, and the PDS goes on for a while
  | 'gateway_timeout' // the same, said by a proxy
  | 'garbage' // the PDS does the work, and something else answers
  | 'internal_error' // the PDS does nothing and says so
  | 'throttled';

type Account = { handle: string; password: string; repo: boolean; active: boolean; repoKey: string };
type Creation = {
  did: string;
  input: Record<string, string>;
  endsAt: number;
  settle?: (r: Response) => void;
};

const URL_ = 'https://model.test';

/**
 * The PDS as facts/atproto.md describes it, faults of overlapping calls included, on a clock of its own:
 * a creation makes the repo when it begins and the account when it ends; a second one that begins meanwhile is told
 * AlreadyExists; one that ends where an account is already there takes that account's repo away while cleaning up;
 * and a deletion under a running creation leaves an account without a repo.
 */
export function modelledPds(deps: {
  now: () => number;
  documentOf: (did: string) => Promise<{ key: string | null; endpoint: string | null } | undefined>;
  /** Counted from the first of them on, failed ones too, as `@atproto/pds` does. */
  creationLimit?: { most: number; windowMs: number };
}) {
  const accounts = new Map<string, Account>();
  const repos = new Set<string>();
  const takenHandles = new Set<string>();
  let running: Creation[] = [];
  const most = new Map<string, number>();
  let limit = deps.creationLimit;
  let window = { endsAt: 0, creations: 0 };

  function throttle({ most, windowMs }: { most: number; windowMs: number }): Response | undefined {
    if (window.endsAt <= deps.now()) window = { endsAt: deps.now() + windowMs, creations: 0 };
    window.creations += 1;
    if (window.creations <= most) return undefined;
    const headers = { 'ratelimit-reset': String(Math.ceil(window.endsAt / 1000)) };
    return Response.json({ error: 'RateLimitExceeded' }, { status: 429, headers });
  }

  function finishCreations() {
    const over = running.filter(({ endsAt }) => endsAt <= deps.now());
    running = running.filter((creation) => !over.includes(creation));
    for (const creation of over) creation.settle?.(finish(creation));
  }

  function finish({ did, input }: Creation): Response {
    if (accounts.has(did)) {
      repos.delete(did);
      const winner = accounts.get(did);
      if (winner) winner.repo = false;
      return error(500, 'InternalServerError');
    }
    const repoKey = `did:key:${newK256Key().publicKeyMultibase}`;
    accounts.set(did, {
      handle: String(input.handle),
      password: String(input.password),
      repo: repos.has(did),
      active: false,
      repoKey,
    });
    return session(did);
  }

  function begin(input: Record<string, string>, seconds: number): Response | Creation {
    const did = String(input.did);
    if (takenHandles.has(String(input.handle)))
      return error(400, 'InvalidRequest', `Handle already taken: ${input.handle}`);
    if (repos.has(did)) return error(400, 'AlreadyExists');
    repos.add(did);
    const creation = { did, input, endsAt: deps.now() + seconds * 1000 };
    running.push(creation);
    const together = running.filter((other) => other.did === did).length;
    most.set(did, Math.max(most.get(did) ?? 0, together));
    return creation;
  }

  /** Does one call and returns its answer; what it does is done, whatever becomes of the answer. */
  async function perform(
    nsid: string,
    input: Record<string, string>,
    authorization: string,
  ): Promise<Response> {
    finishCreations();
    const did = String(input.did ?? input.identifier ?? authorization.split(' did-token:')[1] ?? '');
    const account = accounts.get(did);
    switch (nsid) {
      case 'com.atproto.server.describeServer':
        return Response.json({ did: 'did:web:model.test' });
      case 'com.atproto.server.createAccount': {
        const refused = limit && throttle(limit);
        if (refused) return refused;
        const begun = begin(input, 0);
        if (begun instanceof Response) return begun;
        running = running.filter((creation) => creation !== begun);
        return finish(begun);
      }
      case 'com.atproto.admin.getAccountInfo':
        return account ? Response.json({ did, handle: account.handle }) : error(400, 'NotFound');
      case 'com.atproto.admin.updateAccountPassword':
        if (account) account.password = String(input.password);
        return Response.json({});
      case 'com.atproto.admin.deleteAccount':
        accounts.delete(did);
        repos.delete(did);
        return Response.json({});
      case 'com.atproto.server.createSession':
        return account?.password === input.password ? session(did) : error(401, 'AuthenticationRequired');
      case 'com.atproto.identity.getRecommendedDidCredentials':
        return account?.repo
          ? Response.json({
              verificationMethods: { atproto: account.repoKey },
              services: { atproto_pds: { endpoint: URL_ } },
            })
          : error(500, 'InternalServerError');
      case 'com.atproto.server.checkAccountStatus':
        if (!account?.repo) return error(400, 'NotFound', 'Repo not found');
        return Response.json({ activated: account.active, validDid: await documentIsValid(did, account) });
      case 'com.atproto.sync.getRepoStatus':
        return Response.json({ did, active: account?.active ?? false });
      case 'com.atproto.server.refreshSession':
        return session(did);
      case 'com.atproto.server.activateAccount':
        if (!account?.repo || !(await documentIsValid(did, account))) return error(400, 'InvalidRequest');
        account.active = true;
        return Response.json({});
      default:
        throw new Error(`the model does not know ${nsid}`);
    }
  }

  async function documentIsValid(did: string, account: Account): Promise<boolean> {
    const document = await deps.documentOf(did);
    return `did:key:${document?.key}` === account.repoKey && document?.endpoint === URL_;
  }

  /** A `fetch` to this PDS on which each call meets the next trouble of the list. */
  function fetchThrough(nextTrouble: () => { trouble: Trouble; seconds: number }): typeof globalThis.fetch {
    return async (url, init) => {
      const { pathname, searchParams } = new URL(String(url));
      const nsid = pathname.replace('/xrpc/', '');
      const input = {
        ...Object.fromEntries(searchParams),
        ...(init?.body ? JSON.parse(String(init.body)) : {}),
      };
      const authorization = new Headers(init?.headers).get('authorization') ?? '';
      const { trouble, seconds } = nextTrouble();
      switch (trouble) {
        case 'refused':
          throw broken('ECONNREFUSED');
        case 'lost':
          throw broken('ECONNRESET');
        case 'throttled':
          return error(429, 'RateLimitExceeded');
        case 'internal_error':
          return error(500, 'InternalServerError');
        case 'late':
        case 'gateway_timeout': {
          finishCreations();
          if (nsid.endsWith('createAccount')) begin(input, seconds);
          else await perform(nsid, input, authorization);
          if (trouble === 'late') throw broken('ECONNRESET');
          return new Response('<h1>Gateway Time-out</h1>', { status: 504 });
        }
        default: {
          const response = await perform(nsid, input, authorization);
          if (trouble === 'answer_lost') throw broken('ECONNRESET');
          return trouble === 'garbage' ? new Response('<html>', { status: 200 }) : response;
        }
      }
    };
  }

  return {
    url: URL_,
    fetchThrough,
    takenHandles,
    account: (did: string) => {
      finishCreations();
      return accounts.get(did);
    },
    liftLimit: () => {
      limit = undefined;
    },
    /** As many creations from our address that are not ours. */
    othersTake(creations: number) {
      for (let n = 0; n < creations; n += 1) limit && throttle(limit);
    },
    /** How many creations of this DID ever ran at the same time. */
    mostAtOnce: (did: string) => most.get(did) ?? 0,
  };
}

function session(did: string): Response {
  return Response.json({ did, accessJwt: `did-token:${did}`, refreshJwt: `did-token:${did}` });
}

function error(status: number, name: string, message = name): Response {
  return Response.json({ error: name, message }, { status });
}

function broken(code: string): TypeError {
  return new TypeError('fetch failed', { cause: Object.assign(new Error(code), { code }) });
}
