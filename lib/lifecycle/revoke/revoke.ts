import { tellMember } from '../../auth/bot/tell-member.ts';
import { endChange } from '../changes/advance.ts';
import type { Perform } from '../changes/perform.ts';
import { switchAccount } from './switch.ts';

/** Nobody checks an identity that is switched off; what was found before does not count any more. */
export const UNCHECKED = {
  verification_status: 'unknown',
  consecutive_failures: 0,
  health_problem: null,
} as const;

/** An identity that is switched off: its tokens go, for nobody renews them. */
export const OFF = {
  status: 'revoked',
  pds_access_token: null,
  pds_refresh_token: null,
  ...UNCHECKED,
} as const;

/**
 * Switches an identity off: its account is deactivated at the PDS. DID document and handle are served on, or what the
 * member has signed could not be verified any more; his password and keys stay sealed, so that he can come back.
 */
export const revoke: Perform = (run, change) =>
  switchAccount(run, change, {
    on: false,
    audit: 'revoked',
    conclude: () =>
      run.sql.begin(async (tx) => {
        const audit = { action: 'revoked', details: { account: 'deactivated' } } as const;
        await endChange(tx, run, change, { outcome: 'done', identity: OFF }, audit);
        await tellMember(tx, run.identity.user_id, 'revoked');
      }),
  });
