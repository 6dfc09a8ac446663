import { parentPort, workerData } from 'node:worker_threads';
import { startS3 } from '../../infra/local/aws/s3/s3.ts';

// A thread of its own, with a heap of its own: what S3 holds of an upload is not counted as the worker's.
const server = await startS3(workerData);
server.addBucket({ name: 'exports', locked: false });
parentPort?.postMessage(server.url);
