import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';
import { downloadExport } from '../../lib/lifecycle/api.ts';
import { openDownload } from '../../lib/lifecycle/export/download.ts';
import { openS3 } from '../../lib/lifecycle/export/storage.ts';

const { settings, sql, ...api } = await openApi(['EXPORTS_BUCKET']);
const deps = { sql, s3: openS3(), bucket: settings.EXPORTS_BUCKET, now: () => new Date() };

export const handler = route(downloadExport, api, async ({ member, params }) => {
  const wish = { userId: member.id, exportId: Number(params.id) };
  const { url, expiresAt, size, fileName } = await openDownload(deps, wish);
  return { url, url_expires_at: expiresAt.toISOString(), size, file_name: fileName };
});
