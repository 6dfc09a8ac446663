import { checkDirectory } from '../../pds/plc/directory.ts';
import { PlcError } from '../../pds/plc/plc-error.ts';
import { capabilitiesOf } from '../../pds/provider.ts';
import { providerOf, readProviderState } from '../../pds/providers.ts';
import type { QueueId } from '../../provisioning/queue/queue.ts';
import type { QueueDeps, WorkerDeps } from '../../provisioning/run.ts';
import { performWork } from '../../provisioning/work.ts';
import { chooseDataKey } from '../../vault/choose-data-key.ts';
import { changeActions } from '../changes/perform.ts';
import { takeRequests } from '../sweep/request-budget.ts';
import { sideBySide } from '../sweep/side-by-side.ts';
import {
  bringForward,
  countLate,
  isPlcDue,
  readDue,
  readProvidersOfDue,
  requestRotations,
  resumeGivenUp,
} from './due.ts';
import { retireKeys } from './retire.ts';
import { retirePlcKeys } from './retire-plc.ts';
import { rotating } from './rotate-keys.ts';

export type RotateDueDeps = WorkerDeps & QueueDeps;
export type RotatedDue = { rotated: number; waiting: number; retired: number };

/** How many members are rotated side by side; the pool needs a connection for each, and one for the vault. */
export const WIDTH = 8;
/** Who are requested together, and share a data key: little is left behind by a run that dies. */
const CHUNK = 40;
/** What a rotation asks of a PDS: a password, a session, and the check that follows. */
const REQUESTS = 7;
const MOST_AT_ONCE = 2_000;

/**
 * Rotates the keys of those who are due, data key by data key, at providers that are well and within the budget of
 * requests that sweeps have; and takes old keys out of the documents whose grace period is over. Begins nothing after the
 * deadline. Safe to be repeated, also by two at once: a rotation that was requested is done once, by this run or, when it
 * parks, fails or dies, by the worker of changes.
 */
export async function rotateDue(deps: RotateDueDeps, deadline: Date): Promise<RotatedDue> {
  const { sql, now, rotation, log, metrics } = deps;
  const moved = await bringForward(sql, { now: now(), days: rotation.days });
  const retired = (await retireKeys(deps, deadline)) + (await retirePlcKeys(deps, deadline));
  const resumed = await resumeGivenUp(sql, now());
  const total = { rotated: 0, waiting: 0, retired };
  const withPlc = await isDirectoryUp(deps);
  for (const providerId of await readProvidersOfDue(sql, now())) {
    const { rotated, waiting } = await rotateAt(deps, { providerId, withPlc, deadline });
    total.rotated += rotated;
    total.waiting += waiting;
  }
  const late = await countLate(sql, now());
  if (late > 0) metrics.count('KeyRotationsLate', late);
  if (total.rotated > 0) metrics.count('KeysRotated', total.rotated);
  log.info('due keys rotated', { ...total, late, resumed, brought_forward: moved });
  return total;
}

/** Asked only where somebody needs it. */
async function isDirectoryUp({ sql, fetch, outside, now, log }: RotateDueDeps): Promise<boolean> {
  if (!(await isPlcDue(sql, now()))) return true;
  try {
    await checkDirectory({ fetch, plcUrl: outside.plcUrl });
    return true;
  } catch (error) {
    if (!(error instanceof PlcError)) throw error;
    log.warn('the keys of did:plcs are not rotated while the PLC directory does not answer', { error });
    return false;
  }
}

type Place = { providerId: string; withPlc: boolean; deadline: Date };

async function rotateAt(deps: RotateDueDeps, { providerId, withPlc, deadline }: Place) {
  const { sql, vault, now } = deps;
  const total = { rotated: 0, waiting: 0 };
  for (;;) {
    const due = await readDue(sql, { providerId, now: now(), most: MOST_AT_ONCE, withPlc });
    if (due.length === 0) return total;
    for (let begin = 0; begin < due.length; begin += CHUNK) {
      const wanted = due.slice(begin, begin + CHUNK);
      const granted = now() < deadline ? await admitted(deps, providerId, wanted.length) : 0;
      if (granted === 0) return total;
      const dataKeyId = await chooseDataKey(vault, granted);
      const queued = await requestRotations(sql, wanted.slice(0, granted), now());
      const rotated = await performAll(deps, queued, dataKeyId);
      total.rotated += rotated;
      total.waiting += queued.length - rotated;
    }
  }
}

/** How many of so many members the provider may be asked about now. */
async function admitted(deps: RotateDueDeps, providerId: string, members: number): Promise<number> {
  const { sql, now, providers } = deps;
  const state = await readProviderState(sql, providerId);
  const isWell =
    state.breaker_state === 'closed' && !(state.throttled_until && state.throttled_until > now());
  if (!isWell) return 0;
  // The budget is a share of what the PDS allows an address: one that lets us through allows all.
  if (capabilitiesOf(providerOf(providers, state)).includes('pass_limits')) return members;
  const requests = await takeRequests(sql, providerId, { wanted: members * REQUESTS, now: now() });
  return Math.floor(requests / REQUESTS);
}

/** Does the work of these rows here and now; returns how many are done. */
async function performAll(
  deps: RotateDueDeps,
  queued: readonly QueueId[],
  dataKeyId: string,
): Promise<number> {
  const actions = changeActions({ rotate_keys: rotating(async () => dataKeyId) });
  const results = await sideBySide(queued, WIDTH, async (queueId) => {
    try {
      return await performWork({ ...deps, actions }, queueId);
    } catch (error) {
      // What nobody foresaw is this member's alone: when his lease is over the relay sends his row.
      deps.log.error('a rotation was cut short', { queue_id: queueId, error });
      deps.metrics.count('KeyRotationCrashed');
      return undefined;
    }
  });
  return results.filter((result) => result === 'done').length;
}
