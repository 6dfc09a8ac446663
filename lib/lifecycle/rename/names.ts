import type { Handle } from '../../brands.ts';
import type { GivenUp } from '../../identity/change-handle.ts';
import type { Change } from '../changes/change.ts';

/** The names of a rename past its first step. */
export type Names = {
  from: Handle;
  to: Handle;
  /** How the new one stood, if it was his before. */
  before: GivenUp | null;
};

export function namesOf({ wish, progress }: Pick<Change, 'wish' | 'progress'>): Names {
  return {
    from: progress.from as Handle,
    to: wish.handle as Handle,
    before: progress.before as GivenUp | null,
  };
}
