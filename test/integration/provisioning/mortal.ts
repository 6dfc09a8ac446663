import type { SendMessageCommand } from '@aws-sdk/client-sqs';
import type { Sql, Transaction } from '../../../lib/db/connect.ts';
import type { QueueDeps, WorkerDeps } from '../../../lib/provisioning/run.ts';

export class Killed extends Error {}

type Life = { moment: number; dead: boolean; calls: string[] };

/**
 * A process that dies at a given moment: just before or just after one of its calls to the outside takes
 * effect. From then on every call of its fails, as nothing that a dead process would have done next gets done.
 * Moments count from 1: 2n-1 lies before the n-th call, 2n after it. Within a transaction there is no moment of its
 * own: what dies there was never committed, just like what dies before it. `diesAt` may also say so itself, of each moment.
 */
export function mortal<Deps extends Pick<WorkerDeps & QueueDeps, 'sql' | 'fetch' | 'sqs'>>(
  deps: Deps,
  diesAt: number | ((life: Life) => boolean),
) {
  const life: Life = { moment: 0, dead: false, calls: [] };
  const pass = () => {
    life.moment += 1;
    if (typeof diesAt === 'number' ? life.moment === diesAt : !life.dead && diesAt(life)) life.dead = true;
    if (life.dead) throw new Killed(`dead at moment ${life.moment}`);
  };
  const call = async <T>(name: string, act: () => PromiseLike<T>): Promise<T> => {
    if (!life.dead) life.calls.push(name);
    pass();
    const result = await act();
    pass();
    return result;
  };
  const mortalSql = new Proxy(deps.sql, {
    apply(target, self, args) {
      const query = Reflect.apply(target as unknown as () => PromiseLike<unknown>, self, args);
      return isQuery(args) ? lazily(query, (run) => call(nameOf(args), run)) : query;
    },
    get(target, property) {
      if (property !== 'begin') return Reflect.get(target, property);
      return (work: (tx: Transaction) => Promise<unknown>) =>
        call<unknown>('transaction', () => target.begin((tx) => work(tx)));
    },
  }) as Sql;
  return {
    life,
    deps: {
      ...deps,
      sql: mortalSql,
      fetch: ((...args: Parameters<typeof fetch>) =>
        call(String(args[0]).split('/').at(-1) ?? '', () => deps.fetch(...args))) as typeof fetch,
      sqs: {
        send: (command: SendMessageCommand, options: { abortSignal: AbortSignal }) =>
          call('send', () => deps.sqs.send(command, options)),
      },
    } as unknown as Deps,
  };
}

function isQuery(args: readonly unknown[]): boolean {
  return Array.isArray(args[0]) && 'raw' in args[0];
}

function nameOf(args: readonly unknown[]): string {
  return String((args[0] as readonly string[])[0])
    .trim()
    .split(/\s+/)
    .slice(0, 2)
    .join(' ');
}

/** A query runs when somebody waits for it; as a fragment of another one it never does. */
function lazily<T extends PromiseLike<unknown>>(
  query: T,
  run: (act: () => PromiseLike<unknown>) => Promise<unknown>,
): T {
  return new Proxy(query, {
    get(target, property) {
      if (property === 'then') {
        return (...handlers: Parameters<Promise<unknown>['then']>) => run(() => target).then(...handlers);
      }
      const value = Reflect.get(target, property);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
