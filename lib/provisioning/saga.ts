import type { Identity, Step } from './identity.ts';
import { createOrAdoptPlcAccount } from './plc/account_created.ts';
import { activatePlc } from './plc/activated.ts';
import { publishPlcIdentity } from './plc/identity_published.ts';
import { createSomewhere } from './providers/fail-over.ts';
import { type AccountHost, openAccountHost } from './providers/provider-access.ts';
import { type Run, stopInTime } from './run.ts';
import { createOrAdoptAccount } from './steps/account_created.ts';
import { activate } from './steps/activated.ts';
import { publishIdentity } from './steps/identity_published.ts';
import { reserve } from './steps/reserved.ts';
import { secure } from './steps/secured.ts';

type Steps = Record<Exclude<Step, 'requested' | 'secured'>, (run: Run, host: AccountHost) => Promise<void>>;

/**
 * The step that follows each step, by the method of the member's DID. Every one stores its result before the next begins,
 * and may be begun again.
 */
const NEXT: Record<Identity['did_method'], Steps> = {
  web: {
    reserved: createOrAdoptAccount,
    account_created: publishIdentity,
    identity_published: activate,
    activated: secure,
  },
  plc: {
    reserved: createOrAdoptPlcAccount,
    account_created: publishPlcIdentity,
    identity_published: activatePlc,
    activated: secure,
  },
};

/**
 * Makes the member's identity, from wherever an earlier worker left it (design §3).
 * Returns when it is active; throws when it must wait, try again or fail: see outcome.ts.
 */
export async function provision(run: Run): Promise<void> {
  for (let step = run.identity.provisioning_step; step !== 'secured'; step = run.identity.provisioning_step) {
    stopInTime(run);
    const begun = performance.now();
    if (step === 'requested') {
      await reserve(run);
    } else if (step === 'reserved') {
      await createSomewhere(run, NEXT[run.identity.did_method].reserved);
    } else {
      run.host ??= await openAccountHost(run);
      await NEXT[run.identity.did_method][step](run, run.host);
    }
    run.log.info('step done', {
      step: run.identity.provisioning_step,
      took_ms: Math.round(performance.now() - begun),
    });
  }
}
