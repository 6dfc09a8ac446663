import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import type { Queryable } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import { archiveKey } from './archive-keys.ts';

export type DownloadDeps = { sql: Queryable; s3: S3Client; bucket: string; now: () => Date };
export type Download = { url: string; expiresAt: Date; size: number; fileName: string };

/** For who follows it at once; a download that has begun goes on after its end. */
const VALID_SECONDS = 600;

/**
 * A URL for a ready export of this member's: whoever has it may read this one object for 10 minutes, any part of it.
 * Throws `EXPORT_NOT_FOUND` (404), `EXPORT_NOT_READY` (409).
 */
export async function openDownload(
  { sql, s3, bucket, now }: DownloadDeps,
  { userId, exportId }: { userId: string; exportId: number },
): Promise<Download> {
  const [found] = await sql<{ storage_id: string; size: string; created_at: Date; outcome: string | null }[]>`
    SELECT storage_id, size::text, created_at, outcome FROM pds_exports
    WHERE id = ${exportId} AND user_id = ${userId} AND expires_at > now()`;
  if (found === undefined) throw apiError('EXPORT_NOT_FOUND');
  if (found.outcome !== 'ready') throw apiError('EXPORT_NOT_READY');
  const at = now();
  const fileName = `identity-${found.created_at.toISOString().slice(0, 10)}-${exportId}.tar`;
  const object = new GetObjectCommand({
    Bucket: bucket,
    Key: archiveKey(found),
    ResponseContentDisposition: `attachment; filename="${fileName}"`,
  });
  const url = await getSignedUrl(s3, object, { expiresIn: VALID_SECONDS, signingDate: at });
  const expiresAt = new Date(at.getTime() + VALID_SECONDS * 1000);
  return { url, expiresAt, size: Number(found.size), fileName };
}
