-- Nearly every member keeps one backup that has expired: his newest unused one. The clean-up (lib/lifecycle/clean-up)
-- passes over all of these without looking at them: it finds used ones, and members with more than one unused.
CREATE INDEX pds_credential_backups_used ON pds_credential_backups (expires_at) WHERE is_used;
CREATE INDEX pds_credential_backups_unused ON pds_credential_backups (user_id) WHERE NOT is_used;
DROP INDEX pds_credential_backups_by_expiry;
