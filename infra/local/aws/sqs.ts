import { buildApp } from 'fauxqs';
import { startError } from '../process/child.ts';

export type Sqs = {
  url: string;
  port: number;
  /** The URL under which clients reach a queue: by address, since SQS's own host names resolve to nothing here. */
  queueUrl(name: string): string;
  stop(): Promise<void>;
};

export const SQS_ACCOUNT = '000000000000';

/**
 * Starts SQS, and SNS beside it (`fauxqs`, the real protocols), on 127.0.0.1: `url` is the endpoint of both. Messages live in memory;
 * the queue table in the database is what survives, and the relay sends again.
 *
 * @NOTE fauxqs's own start function and command bind every address. A long poll that the client aborts swallows the
 * next message until its visibility time-out: stop consumers before aborting.
 */
export async function startSqs({ port = 0 } = {}): Promise<Sqs> {
  const app = buildApp({ logger: false });
  const url = await app.listen({ port, host: '127.0.0.1' }).catch((cause) => {
    throw startError('SQS', `cannot listen on port ${port} (${cause.code})`, cause);
  });
  return {
    url,
    port: Number(new URL(url).port),
    queueUrl: (name) => `${url}/${SQS_ACCOUNT}/${name}`,
    stop: () => app.close(),
  };
}
