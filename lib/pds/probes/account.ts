import type { Did } from '../../brands.ts';
import { checkAccountStatus, getRepoStatus } from '../client/accounts.ts';
import type { HealthProblem } from '../health-problems.ts';
import type { PdsConnection } from '../xrpc.ts';
import { isRejection } from '../xrpc-error.ts';
import { meaningOf, type Probed, probe } from './probe.ts';

/** Whether the PDS has the account and calls it active. */
export function probeAccount(pds: PdsConnection, did: Did): Promise<Probed> {
  return probe(async () => {
    const { active, status = 'active' } = await getRepoStatus(pds, did).catch((error) => {
      if (isRejection(error, 'RepoNotFound')) return { active: false, status: 'missing' };
      throw error;
    });
    return {
      passed: active,
      details: { did, account: active ? 'active' : status },
      problem: active ? undefined : problemOf(status),
    };
  }, meaningOf('CHECK_FAILED'));
}

/** Whether the DID document that the PDS itself reads names it and its key, as the holder of a session is told. */
export function probeValidDid(pds: PdsConnection, accessJwt: string): Promise<Probed> {
  return probe(async () => {
    const { validDid } = await checkAccountStatus(pds, accessJwt);
    return {
      passed: validDid,
      details: { valid_did: validDid },
      problem: validDid ? undefined : 'DOCUMENT_WRONG',
    };
  }, meaningOf('CHECK_FAILED'));
}

const PROBLEMS: Readonly<Record<string, HealthProblem>> = {
  missing: 'ACCOUNT_MISSING',
  deleted: 'ACCOUNT_MISSING',
  deactivated: 'ACCOUNT_DEACTIVATED',
};

/** Of com.atproto.sync.getRepoStatus: whatever else a PDS does to an account (suspended, desynchronized, …) is its doing. */
function problemOf(status: string): HealthProblem {
  return PROBLEMS[status] ?? 'ACCOUNT_TAKEN_DOWN';
}
