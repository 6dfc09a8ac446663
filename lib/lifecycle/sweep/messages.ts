import { SendMessageBatchCommand, SendMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';

/** The members of one data key, in one sweep. Everything else is in the database. */
export type Cohort = { sweepId: number; dataKeyId: string };
export type HealthQueue = { sqs: SQSClient; queueUrl: string };

const BATCH = 10;
const TIMEOUT_MS = 10_000;

/** Sends a message for each cohort. Throws unless SQS took them all: then the whole is repeated. */
export async function sendCohorts({ sqs, queueUrl }: HealthQueue, cohorts: readonly Cohort[]): Promise<void> {
  for (let begin = 0; begin < cohorts.length; begin += BATCH) {
    const entries = cohorts
      .slice(begin, begin + BATCH)
      .map((cohort, index) => ({ Id: String(index), MessageBody: JSON.stringify(cohort) }));
    const { Failed = [] } = await sqs.send(
      new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries: entries }),
      { abortSignal: AbortSignal.timeout(TIMEOUT_MS) },
    );
    if (Failed.length > 0) throw new Error(`SQS did not take ${Failed.length} messages: ${Failed[0]?.Code}`);
  }
}

/** Sends a cohort again, for what the budget did not allow now. */
export async function sendLater(
  { sqs, queueUrl }: HealthQueue,
  cohort: Cohort,
  delayMs: number,
): Promise<void> {
  await sqs.send(
    new SendMessageCommand({
      QueueUrl: queueUrl,
      MessageBody: JSON.stringify(cohort),
      DelaySeconds: Math.min(900, Math.ceil(delayMs / 1000)),
    }),
    { abortSignal: AbortSignal.timeout(TIMEOUT_MS) },
  );
}

/** The cohort of a message; undefined for one that we never wrote. */
export function readCohort(body: string): Cohort | undefined {
  try {
    const { sweepId, dataKeyId } = JSON.parse(body);
    const isOurs = Number.isSafeInteger(sweepId) && typeof dataKeyId === 'string' && UUID.test(dataKeyId);
    return isOurs ? { sweepId, dataKeyId } : undefined;
  } catch {
    return undefined;
  }
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
