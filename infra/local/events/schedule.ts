import { Cron } from 'croner';
import { AppError } from '../../../lib/app-error.ts';
import type { InvokeResult } from '../lambda/spec.ts';

/** Something that happens at set times (AWS::Scheduler::Schedule, AWS::Events::Rule). */
export type Schedule = {
  id: string;
  expression: string;
  timezone: string | undefined;
  enabled: boolean;
  /** Delivers to the targets now, without retries, and says how each ended. */
  fire(): Promise<InvokeResult[]>;
  /** Delivers to the targets as the time comes, with their retries. */
  deliver(signal: AbortSignal): Promise<void>;
};

const UNIT_MS: Record<string, number> = { minute: 60_000, hour: 3_600_000, day: 86_400_000 };
/** First and last value of AWS's six fields, weekdays already counted from 0. */
const RANGES = ['0-59', '0-23', '1-31', '1-12', '0-6', '1970-2199'];
const WEEKDAY_FIELD = 4;

/** Lets the schedule run by the clock until the function that it returns is called. */
export function startSchedule(schedule: Schedule, onError: (error: unknown) => void): () => Promise<void> {
  const stop = new AbortController();
  const deliver = () => void schedule.deliver(stop.signal).catch(onError);
  const cancel = schedule.enabled ? onTime(schedule, deliver) : () => {};
  return async () => {
    stop.abort();
    cancel();
  };
}

function onTime({ expression, timezone }: Schedule, run: () => void): () => void {
  const interval = rateMs(expression);
  if (interval !== undefined) {
    // A rate begins with its creation, so it runs at once. Here that also makes up for messages that SQS has forgotten.
    run();
    const timer = setInterval(run, interval);
    return () => clearInterval(timer);
  }
  const job = new Cron(toCroner(expression), { timezone: timezone ?? 'Etc/UTC' }, run);
  return () => job.stop();
}

/** Fails with TEMPLATE_UNSUPPORTED when the expression is none that runs locally. */
export function checkExpression(expression: string): void {
  if (rateMs(expression) === undefined) new Cron(toCroner(expression), { paused: true });
}

function rateMs(expression: string): number | undefined {
  const [, value, unit = ''] = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(expression) ?? [];
  return value === undefined ? undefined : Number(value) * (UNIT_MS[unit] ?? 0);
}

/**
 * AWS writes `cron(minute hour day month weekday year)`, with weekdays from 1 = Sunday, `?` for "any" and `5/10` for
 * "every tenth from the fifth"; croner writes seconds first, weekdays from 0, and that step as a range.
 */
export function toCroner(expression: string): string {
  const fields = /^cron\((.+)\)$/.exec(expression)?.[1]?.trim().split(/\s+/);
  if (fields?.length !== RANGES.length) {
    throw new AppError('TEMPLATE_UNSUPPORTED', `${expression} is no rate(…) or cron(…) with six fields`);
  }
  const translated = fields.map((field, index) => {
    if (field === '?') return '*';
    const counted =
      index === WEEKDAY_FIELD
        ? field.replace(/(?<![#/\d])[1-7](?=$|[-,#L/])/g, (day) => String(Number(day) - 1))
        : field;
    const [, last] = RANGES[index]?.split('-') ?? [];
    return counted.replace(/(?<![-\d])(\d+)(?=\/)/g, `$1-${last}`);
  });
  return ['0', ...translated].join(' ');
}
