import type { Actions, Run } from '../../provisioning/run.ts';
import { finish } from '../../provisioning/work.ts';
import { type Change, type ChangeKind, readOpenChange } from './change.ts';

/** Brings a change of one kind to its end, from wherever an earlier worker left it: every step may be begun again. */
export type Perform = (run: Run, change: Change) => Promise<void>;

/** The actions of the worker that changes identities. Work whose change is over has nothing left to do. */
export function changeActions(kinds: Readonly<Partial<Record<ChangeKind, Perform>>>): Actions {
  return Object.fromEntries(
    Object.entries(kinds).map(([kind, perform]) => [
      kind,
      async (run: Run) => {
        const change = await readOpenChange(run.sql, run.identity.user_id);
        if (change?.kind !== kind) return finish(run);
        await perform(run, change);
        if (change.outcome) run.metrics.count(metricOf(change.kind, change.outcome));
      },
    ]),
  );
}

/** `rotate_keys` that is done counts as `RotateKeysDone`: a metric for each kind and end, which the dashboard shows. */
function metricOf(kind: ChangeKind, outcome: string): string {
  return `${kind}_${outcome}`.replaceAll(/(?:^|_)(\w)/g, (_, letter: string) => letter.toUpperCase());
}
