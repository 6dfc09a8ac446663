-- The clean-up of what is over (lib/lifecycle/clean-up): by these indexes it finds it.
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE INDEX step_ups_by_expiry ON step_ups (expires_at);
CREATE INDEX step_ups_of_session ON step_ups (session_id);  -- a session takes its own with it
CREATE INDEX rate_limits_by_window ON rate_limits (window_start);
CREATE INDEX telegram_updates_by_time ON telegram_updates (received_at);
CREATE INDEX telegram_messages_over ON telegram_messages ((coalesce(sent_at, gave_up_at)))
  WHERE sent_at IS NOT NULL OR gave_up_at IS NOT NULL;
CREATE INDEX pds_credential_backups_by_expiry ON pds_credential_backups (expires_at);
CREATE INDEX pds_health_checks_default_by_time ON pds_health_checks_default (created_at);
CREATE INDEX dead_letters_redriven ON dead_letters (redriven_at) WHERE redriven_at IS NOT NULL;
CREATE INDEX dead_letters_by_work ON dead_letters (queue_id);
-- Also the list of what was given up, the oldest first.
CREATE INDEX pds_provisioning_queue_over ON pds_provisioning_queue (status, updated_at, id)
  WHERE status IN ('completed', 'failed');

GRANT DELETE ON dead_letters TO pds_worker;
GRANT SELECT, DELETE ON pds_health_checks_default TO pds_worker;

-- Since when the clean-up sees work that is open for days, waits for no PDS, and is in nobody's hands.
ALTER TABLE pds_provisioning_queue ADD COLUMN stale_since timestamptz;
CREATE INDEX pds_provisioning_queue_stale ON pds_provisioning_queue (stale_since) WHERE stale_since IS NOT NULL;
CREATE INDEX pds_provisioning_queue_unparked ON pds_provisioning_queue (created_at)
  WHERE status IN ('pending', 'processing') AND parked_reason IS NULL;

-- Drops the oldest day of health checks that is over for more than `days_kept` days and returns its name; null when there
-- is none. May run at any time, twice and at once. It needs the table for itself for a moment: the caller says by
-- lock_timeout how long others may have to wait for it.
-- SECURITY DEFINER because only the owner of a table may drop it, and the worker is not that.
CREATE FUNCTION drop_health_partition(days_kept integer) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  oldest text;
BEGIN
  IF days_kept IS NULL OR days_kept < 7 THEN
    RAISE EXCEPTION 'drop_health_partition: days_kept must be 7 or more' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('pds_health_checks partitions', 0));
  SELECT c.relname INTO oldest
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
  WHERE i.inhparent = 'public.pds_health_checks'::regclass
    AND c.relname ~ '^pds_health_checks_[0-9]{8}$'
    AND c.relname < 'pds_health_checks_' || to_char((now() AT TIME ZONE 'UTC')::date - days_kept, 'YYYYMMDD')
  ORDER BY c.relname LIMIT 1;
  IF oldest IS NOT NULL THEN
    EXECUTE format('DROP TABLE public.%I', oldest);
  END IF;
  RETURN oldest;
END $$;
REVOKE ALL ON FUNCTION drop_health_partition(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION drop_health_partition(integer) TO pds_worker;
