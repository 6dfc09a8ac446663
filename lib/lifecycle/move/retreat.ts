import { XrpcError } from '../../pds/xrpc-error.ts';
import { LeaseLost } from '../../provisioning/identity.ts';
import { outcomeOf } from '../../provisioning/queue/outcome.ts';
import type { ParkedReason } from '../../provisioning/queue/settle.ts';
import type { Run } from '../../provisioning/run.ts';
import { type Change, timeOf } from '../changes/change.ts';
import { Cancelled } from './cancelled.ts';
import { hasLasted, isFrozen } from './progress.ts';
import type { Retreat } from './take-back.ts';

/** How long a PDS that does not answer is waited for, while the member can go on as before. */
export const PATIENCE_MS = 3600_000;
/** And how long he may be without an account that takes his writes, whatever it is that keeps the move. */
export const FROZEN_MS = 10 * 60_000;

/**
 * Why a move is to be taken back after this error; undefined when it is to be gone on with later. What is to wait does so
 * for as long as the member can wait for it.
 */
export async function reasonToRetreat(
  run: Run,
  change: Change,
  error: unknown,
): Promise<Retreat | undefined> {
  if (error instanceof LeaseLost) return undefined;
  if (error instanceof Cancelled) return { outcome: 'cancelled' };
  const { work, now, random } = run;
  const outcome = outcomeOf(error, { work, now: now(), random: random.fraction });
  if (outcome.kind === 'failed') {
    const { code, message } = error instanceof XrpcError ? faultOf(run, error) : outcome.error;
    return { outcome: 'failed', code, message };
  }
  if (outcome.kind === 'parked' && (await isOutOfPatience(run, change, outcome.reason))) {
    return { outcome: 'failed', ...silenceOf(run, outcome.reason) };
  }
  return undefined;
}

async function isOutOfPatience(run: Run, change: Change, reason: ParkedReason): Promise<boolean> {
  const at = run.now().getTime();
  const frozenAt = timeOf(change, 'freezing_at');
  if (isFrozen(change) && frozenAt && at - frozenAt.getTime() > FROZEN_MS) return true;
  if (reason !== 'provider_down' && reason !== 'plc_down') return false;
  return hasLasted(run, change, 'stuck_since', PATIENCE_MS);
}

type Named = { code: string; message: string };
const AS_BEFORE = 'Nothing has changed: your identity works as before where it is.';

function isSource(run: Run): boolean {
  return run.host?.provider.id === run.identity.provider_id;
}

/** An answer that no attempt made better. */
function faultOf(run: Run, { nsid, status, fault }: XrpcError): Named {
  const what = `(${nsid} ${status ?? fault})`;
  return isSource(run)
    ? {
        code: 'MOVE_SOURCE_FAILED',
        message: `Your present PDS does not give out what is to be moved ${what}. ${AS_BEFORE} Its operator must look at its log; then try again.`,
      }
    : {
        code: 'MOVE_TARGET_FAILED',
        message: `The PDS that you are moving to cannot take your data ${what}: it may have run out of space. ${AS_BEFORE} Try again later, choose another one, or ask its operator.`,
      };
}

/** What was waited for, for too long. */
function silenceOf(run: Run, reason: ParkedReason): Named {
  if (reason === 'plc_down') {
    return {
      code: 'MOVE_PLC_SILENT',
      message: `The PLC directory does not answer, and without it a did:plc cannot be moved. ${AS_BEFORE} Try again later.`,
    };
  }
  if (reason !== 'provider_down') {
    return {
      code: 'MOVE_TOOK_TOO_LONG',
      message: `Your account may be deactivated for ten minutes only, and the move was not done by then. ${AS_BEFORE} Try again later.`,
    };
  }
  return isSource(run)
    ? {
        code: 'MOVE_SOURCE_SILENT',
        message:
          'Your present PDS does not answer, and nothing can be moved without what lies there. Nothing has changed. Try again when it is back; if it is gone for good, a move cannot help.',
      }
    : {
        code: 'MOVE_TARGET_SILENT',
        message: `The PDS that you are moving to does not answer any more. ${AS_BEFORE} Try again later, or choose another one.`,
      };
}
