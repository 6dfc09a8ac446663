/** How long things may take, in seconds. They depend on each other, so they stand in one place. */
export type Times = {
  /** One HTTP request to a PDS. */
  readonly http: number;
  /** One run of the worker: the Lambda's time-out. */
  readonly worker: number;
  /** The same of the worker that changes identities; it renews its claim as it goes (lib/lifecycle/changes/hold.ts). */
  readonly change: number;
  /** How long a claim keeps other workers away; it outlives any worker that could still write. */
  readonly lease: number;
  /** How long the outcome of a `createAccount` that we gave up on counts as unknown: above any proxy's limit. */
  readonly quarantine: number;
  /** SQS visibility time-out: 6 × the worker, as AWS asks for event sources. For changes it is 6 × theirs. */
  readonly visibility: number;
};

/** `production` is what the design says; the others keep the proportions so that a failure can be watched. */
export const TIMES = {
  production: { http: 15, worker: 60, change: 300, lease: 90, quarantine: 120, visibility: 360 },
  local: { http: 8, worker: 30, change: 120, lease: 40, quarantine: 60, visibility: 180 },
  test: { http: 2, worker: 5, change: 30, lease: 6, quarantine: 8, visibility: 30 },
} as const satisfies Record<string, Times>;

for (const [name, times] of Object.entries(TIMES)) {
  const inOrder = times.http < times.worker && times.worker < times.lease && times.lease < times.quarantine;
  if (!inOrder || times.visibility < 6 * times.worker)
    throw new Error(`times of ${name} contradict each other`);
}

/** The relay comes every minute: whose turn is before its next run, and a little after, it calls now. */
export const CALLED_AHEAD_MS = 65_000;
