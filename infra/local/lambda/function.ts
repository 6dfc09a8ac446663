import { randomUUID } from 'node:crypto';
import { AppError } from '../../../lib/app-error.ts';
import { type Sandbox, startSandbox } from './sandbox.ts';
import { errorPayload, type InvokeResult, type LambdaSpec, MAX_PAYLOAD_BYTES } from './spec.ts';

/** A function that can be invoked. */
export type LambdaFunction = {
  spec: LambdaSpec;
  /** Runs the handler once and waits for its end. Never rejects: failures are in the result. */
  invoke(event: unknown): Promise<InvokeResult>;
  /** Loads the module ahead of the first request; fails with FUNCTION_INIT_FAILED and what the module threw. */
  warm(): Promise<void>;
  /** The processes of the function at this moment. */
  pids(): number[];
  /** SIGKILL to every process of the function. */
  kill(): void;
  /** Ends the function for good. */
  stop(): Promise<void>;
};

export type PoolLimits = {
  /** Processes at once; more invocations wait in line, where AWS would start more. */
  maxProcesses?: number;
  /** A process without work ends after this time. */
  idleMs?: number;
};

type Slot = { sandbox: Sandbox; busy: boolean; lastUsed: number };

/** Runs a function in processes of its own: as many as there are concurrent executions. */
export function createFunction(spec: LambdaSpec, limits: PoolLimits = {}): LambdaFunction {
  const { maxProcesses = 8, idleMs = 120_000 } = limits;
  const slots = new Set<Slot>();
  const line: ((slot: Slot | undefined) => void)[] = [];
  let starting = 0;
  let executions = 0;
  let stopped = false;
  const reaper = setInterval(
    () => {
      for (const { busy, lastUsed, sandbox } of slots)
        if (!busy && Date.now() - lastUsed > idleMs) sandbox.kill();
    },
    Math.min(idleMs, 5_000),
  );
  reaper.unref();

  async function addSlot(): Promise<Slot> {
    starting += 1;
    try {
      const slot: Slot = { sandbox: await startSandbox(spec), busy: true, lastUsed: Date.now() };
      slots.add(slot);
      slot.sandbox.exited.then(() => {
        slots.delete(slot);
        if (line.length > 0 && hasRoom()) serveNext();
      });
      if (stopped) slot.sandbox.kill();
      return slot;
    } finally {
      starting -= 1;
    }
  }

  const hasRoom = () => slots.size + starting < maxProcesses;

  function serveNext(slot?: Slot) {
    const next = line.shift();
    if (next) next(slot);
    else if (slot) slot.busy = false;
  }

  async function takeSlot(): Promise<Slot> {
    const idle = [...slots].find(({ busy, sandbox }) => !busy && sandbox.isAlive());
    if (idle) {
      idle.busy = true;
      return idle;
    }
    if (hasRoom()) return addSlot();
    const { promise, resolve } = Promise.withResolvers<Slot | undefined>();
    line.push(resolve);
    return (await promise) ?? addSlot();
  }

  function giveBack(slot: Slot) {
    slot.lastUsed = Date.now();
    if (slots.has(slot) && slot.sandbox.isAlive()) serveNext(slot);
  }

  async function execute(event: unknown): Promise<InvokeResult> {
    const requestId = randomUUID();
    const payload = JSON.stringify(event);
    if (Buffer.byteLength(payload) > MAX_PAYLOAD_BYTES) {
      const message = `Request must be smaller than ${MAX_PAYLOAD_BYTES} bytes`;
      return { ...errorPayload('RequestEntityTooLargeException', message), refused: 'too-large' };
    }
    const slot = await takeSlot();
    try {
      return await slot.sandbox.run({ requestId, payload });
    } finally {
      giveBack(slot);
    }
  }

  return {
    spec,
    async invoke(event) {
      if (stopped) return errorPayload('ServiceException', 'The local platform is stopping.');
      if (executions >= (spec.reservedConcurrency ?? Number.POSITIVE_INFINITY)) {
        return { ...errorPayload('TooManyRequestsException', 'Rate Exceeded.'), refused: 'throttled' };
      }
      executions += 1;
      try {
        return await execute(event);
      } finally {
        executions -= 1;
      }
    },
    async warm() {
      const slot = await takeSlot();
      try {
        await slot.sandbox.ready;
      } catch (cause) {
        const message = cause instanceof Error ? cause.message : String(cause);
        throw new AppError('FUNCTION_INIT_FAILED', `${spec.id} does not load: ${message}`, { cause });
      } finally {
        giveBack(slot);
      }
    },
    pids: () => [...slots].flatMap(({ sandbox }) => sandbox.pid ?? []),
    kill() {
      for (const { sandbox } of slots) sandbox.kill();
    },
    async stop() {
      stopped = true;
      clearInterval(reaper);
      const all = [...slots];
      for (const { sandbox } of all) sandbox.kill();
      await Promise.all(all.map(({ sandbox }) => sandbox.exited));
    },
  };
}
