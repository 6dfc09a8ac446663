import type { Pds } from './atproto/pds.ts';
import type { KeptChild } from './process/kept-child.ts';

/** What can be done to the running PDS. */
export type PdsControls = {
  url: string;
  did: string;
  pid(): number;
  /** Ends it until `start`. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** SIGKILL; it is started again, as after any crash. */
  kill(): void;
  /** Keeps connections open but answers nothing until `resume`. */
  pause(): void;
  resume(): void;
};

export function pdsControls(pds: KeptChild<Pds>): PdsControls {
  const { url, did } = pds.current();
  return {
    url,
    did,
    pid: () => pds.current().pid,
    stop: pds.stop,
    start: pds.start,
    kill: () => pds.current().kill('SIGKILL'),
    pause: () => pds.current().pause(),
    resume: () => pds.current().resume(),
  };
}
