import { setTimeout as sleep } from 'node:timers/promises';
import {
  DeleteMessageBatchCommand,
  type Message,
  ReceiveMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import type { LambdaFunction } from '../lambda/function.ts';
import type { InvokeResult } from '../lambda/spec.ts';

export type EventSource = {
  queueUrl: string;
  queueArn: string;
  region: string;
  batchSize: number;
  batchingWindowMs: number;
  /** ReportBatchItemFailures: the answer names the messages that failed. */
  reportsItemFailures: boolean;
  maximumConcurrency?: number;
};

type Dependencies = {
  sqs: SQSClient;
  fn: Pick<LambdaFunction, 'spec' | 'invoke'>;
  onNotice(text: string): void;
};

const LONG_POLL_SECONDS = 20;
/** AWS starts with five pollers for a standard queue. */
const DEFAULT_CONCURRENCY = 5;
const RECEIVE_LIMIT = 10;
const PAUSE_AFTER_ERROR_MS = 500;

/**
 * Polls a queue and invokes the function with batches, as an SQS event source mapping does. Messages of a batch that
 * succeeded are deleted; the others come back after the queue's visibility time-out.
 * Returns what stops it: no new batches, and those at work are left to their end or to the end of their function.
 * @see https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
 */
export function startPoller(deps: Dependencies, source: EventSource): () => Promise<void> {
  const stop = new AbortController();
  const limit = source.maximumConcurrency ?? DEFAULT_CONCURRENCY;
  const atWork = new Set<Promise<void>>();

  const notice = (error: unknown) =>
    deps.onNotice(`${deps.fn.spec.id}: its queue does not answer: ${String(error)}`);

  async function poll() {
    while (!stop.signal.aborted) {
      if (atWork.size >= limit) {
        await Promise.race(atWork);
        continue;
      }
      try {
        const messages = await gatherBatch(deps, source, stop.signal);
        if (messages.length === 0) continue;
        const work: Promise<void> = processBatch(deps, source, messages)
          .catch((error) => !stop.signal.aborted && notice(error))
          .then(() => void atWork.delete(work));
        atWork.add(work);
      } catch (error) {
        if (stop.signal.aborted) return;
        notice(error);
        await sleep(PAUSE_AFTER_ERROR_MS);
      }
    }
  }
  const polling = poll();
  return async () => {
    stop.abort();
    await polling;
  };
}

async function gatherBatch(
  { sqs }: Dependencies,
  { queueUrl, batchSize, batchingWindowMs }: EventSource,
  signal: AbortSignal,
): Promise<Message[]> {
  const gathered: Message[] = [];
  let deadline = Number.POSITIVE_INFINITY;
  do {
    const secondsLeft = Math.min(LONG_POLL_SECONDS, Math.ceil((deadline - Date.now()) / 1000));
    const { Messages = [] } = await sqs.send(
      new ReceiveMessageCommand({
        QueueUrl: queueUrl,
        MaxNumberOfMessages: Math.min(RECEIVE_LIMIT, batchSize - gathered.length),
        WaitTimeSeconds: Math.max(0, secondsLeft),
        MessageSystemAttributeNames: ['All'],
        MessageAttributeNames: ['All'],
      }),
      { abortSignal: signal },
    );
    if (gathered.length === 0) deadline = Date.now() + batchingWindowMs;
    gathered.push(...Messages);
  } while (gathered.length > 0 && gathered.length < batchSize && Date.now() < deadline && !signal.aborted);
  return gathered;
}

async function processBatch(
  deps: Dependencies,
  { queueUrl, queueArn, region, reportsItemFailures }: EventSource,
  messages: Message[],
): Promise<void> {
  const Records = messages.map((message) => toRecord(message, queueArn, region));
  const result = await deps.fn.invoke({ Records });
  const failed = failedMessages(result, messages, reportsItemFailures);
  const done = messages.filter(({ MessageId }) => !failed.has(MessageId));
  for (let first = 0; first < done.length; first += RECEIVE_LIMIT) {
    await deps.sqs.send(
      new DeleteMessageBatchCommand({
        QueueUrl: queueUrl,
        Entries: done
          .slice(first, first + RECEIVE_LIMIT)
          .map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle })),
      }),
    );
  }
}

/**
 * Which messages of a batch failed. Without an answer, or with none or an empty list of failures, none did; an answer
 * that cannot be read, or an identifier that is none of the batch's, fails them all.
 * @see https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting
 */
export function failedMessages(
  result: InvokeResult,
  messages: readonly Message[],
  reportsItemFailures: boolean,
): ReadonlySet<string | undefined> {
  const all = new Set(messages.map(({ MessageId }) => MessageId));
  if (result.functionError) return all;
  if (!reportsItemFailures) return new Set();
  const answer = JSON.parse(result.payload);
  const failures = typeof answer === 'object' && answer !== null ? answer.batchItemFailures : undefined;
  if (failures === undefined || failures === null) return new Set();
  if (!Array.isArray(failures)) return all;
  const failed = failures.map((failure) => failure?.itemIdentifier);
  return failed.every((id) => all.has(id)) ? new Set(failed) : all;
}

function toRecord(message: Message, queueArn: string, region: string) {
  const attributes = Object.entries(message.MessageAttributes ?? {}).map(([name, attribute]) => [
    name,
    {
      stringValue: attribute.StringValue,
      binaryValue: attribute.BinaryValue && Buffer.from(attribute.BinaryValue).toString('base64'),
      stringListValues: [],
      binaryListValues: [],
      dataType: attribute.DataType,
    },
  ]);
  return {
    messageId: message.MessageId,
    receiptHandle: message.ReceiptHandle,
    body: message.Body,
    attributes: message.Attributes ?? {},
    messageAttributes: Object.fromEntries(attributes),
    md5OfBody: message.MD5OfBody,
    eventSource: 'aws:sqs',
    eventSourceARN: queueArn,
    awsRegion: region,
  };
}
