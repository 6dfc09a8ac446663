import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { AppError } from '../../app-error.ts';

/** Where archives grow and lie, by the names of objects in one bucket. Throws `STORAGE_UNAVAILABLE`, to be retried. */
export type Storage = {
  begin(key: string): Promise<{ uploadId: string }>;
  /** Puts a part (from 1) in the place of what was there before; all but the last have 5 MiB at least. Returns its ETag. */
  putPart(upload: Upload, number: number, bytes: Uint8Array): Promise<string>;
  /** Makes one object of just these parts. False when there is no such upload any more, or a part is another one. */
  complete(upload: Upload, etags: readonly string[]): Promise<boolean>;
  abort(upload: Upload): Promise<void>;
  put(key: string, bytes: Uint8Array): Promise<void>;
  get(key: string): Promise<Uint8Array | undefined>;
  /** Bytes; undefined when there is no such object. */
  sizeOf(key: string): Promise<number | undefined>;
  remove(key: string): Promise<void>;
};
export type Upload = { key: string; uploadId: string };

/**
 * S3. TLS sees to it that bytes arrive; the archive proves itself by its manifest. So the checksums that the SDK would
 * add are left out: an upload that begins with them asks for those of all parts again at its end.
 */
export function openS3(): S3Client {
  return new S3Client({ requestChecksumCalculation: 'WHEN_REQUIRED' });
}

export function createStorage(s3: Pick<S3Client, 'send'>, bucket: string): Storage {
  const named = (key: string) => ({ Bucket: bucket, Key: key });
  const uploading = ({ key, uploadId }: Upload) => ({ ...named(key), UploadId: uploadId });
  return {
    begin: (key) =>
      ask(async () => {
        const { UploadId = '' } = await s3.send(
          new CreateMultipartUploadCommand({ ...named(key), ContentType: 'application/x-tar' }),
        );
        return { uploadId: UploadId };
      }),
    putPart: (upload, number, bytes) =>
      ask(async () => {
        const part = { ...uploading(upload), PartNumber: number, Body: bytes };
        const { ETag = '' } = await s3.send(new UploadPartCommand(part));
        return ETag;
      }),
    complete: (upload, etags) =>
      ask(async () => {
        const Parts = etags.map((ETag, index) => ({ ETag, PartNumber: index + 1 }));
        await s3.send(
          new CompleteMultipartUploadCommand({ ...uploading(upload), MultipartUpload: { Parts } }),
        );
        return true;
      }, [false, 'NoSuchUpload', 'InvalidPart']),
    abort: (upload) =>
      ask(
        async () => void (await s3.send(new AbortMultipartUploadCommand(uploading(upload)))),
        [undefined, 'NoSuchUpload'],
      ),
    put: (key, bytes) =>
      ask(async () => void (await s3.send(new PutObjectCommand({ ...named(key), Body: bytes })))),
    get: (key) =>
      ask(async () => {
        const { Body } = await s3.send(new GetObjectCommand(named(key)));
        return Body?.transformToByteArray();
      }, [undefined, ...ABSENT]),
    sizeOf: (key) =>
      ask(
        async () => (await s3.send(new HeadObjectCommand(named(key)))).ContentLength,
        [undefined, ...ABSENT],
      ),
    remove: (key) => ask(async () => void (await s3.send(new DeleteObjectCommand(named(key))))),
  };
}

/** @NOTE Who may not list a bucket gets 403 for an object that is not there (API_HeadObject, "Permissions"). */
const ABSENT = ['NoSuchKey', 'NotFound', 'AccessDenied', 'Forbidden', '403'] as const;

/** `otherwise`: what is returned when S3 answers with one of these errors. */
async function ask<T>(
  request: () => Promise<T>,
  [otherwise, ...names]: readonly [T?, ...string[]] = [],
): Promise<T> {
  try {
    return await request();
  } catch (cause) {
    if (cause instanceof S3ServiceException && names.includes(cause.name)) return otherwise as T;
    throw new AppError('STORAGE_UNAVAILABLE', 'The storage of exports does not answer, or refuses.', {
      retryable: true,
      cause,
    });
  }
}
