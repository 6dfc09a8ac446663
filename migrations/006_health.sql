-- Health checks: many rows, short-lived, so one partition a day. Old days leave by DROP TABLE, not by DELETE.

CREATE TABLE pds_health_checks (
  id               bigserial,
  user_id          varchar(255) REFERENCES users (id) ON DELETE CASCADE,   -- null: a check of the provider itself
  pnptv_uuid       uuid,
  pds_endpoint     varchar(500) NOT NULL,
  check_type       varchar(50)  NOT NULL CHECK (check_type IN ('connectivity', 'endpoint_reachable', 'at_protocol', 'credentials')),
  status           varchar(50)  NOT NULL CHECK (status IN ('success', 'failed', 'timeout')),
  response_time_ms integer      CHECK (response_time_ms >= 0),
  details          jsonb,
  error_message    text,
  created_at       timestamptz  NOT NULL DEFAULT now(),
  PRIMARY KEY (id, created_at),
  CHECK ((user_id IS NULL) = (pnptv_uuid IS NULL))
) PARTITION BY RANGE (created_at);
CREATE INDEX pds_health_checks_by_user ON pds_health_checks (user_id, created_at DESC);
CREATE INDEX pds_health_checks_by_endpoint ON pds_health_checks (pds_endpoint, created_at DESC) WHERE user_id IS NULL;

-- Takes what no day's partition takes, so that a forgotten schedule loses no row.
CREATE TABLE pds_health_checks_default PARTITION OF pds_health_checks DEFAULT;

-- Makes the partitions of today (UTC) and the days after it and returns how many are new. May run at any time, twice
-- and at once. A day that already has rows in the default partition is left there: its rows stay readable.
-- SECURITY DEFINER because only the owner of the table may add partitions, and the worker is not that.
CREATE FUNCTION make_health_partitions(days_ahead integer DEFAULT 7) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  today  date := (now() AT TIME ZONE 'UTC')::date;
  day    date;
  name   text;
  made   integer := 0;
BEGIN
  IF days_ahead NOT BETWEEN 0 AND 60 THEN
    RAISE EXCEPTION 'make_health_partitions: days_ahead must be 0 to 60' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('pds_health_checks partitions', 0));
  FOR day IN SELECT today + n FROM generate_series(0, days_ahead) AS n LOOP
    name := 'pds_health_checks_' || to_char(day, 'YYYYMMDD');
    CONTINUE WHEN to_regclass('public.' || name) IS NOT NULL;
    CONTINUE WHEN EXISTS (
      SELECT FROM public.pds_health_checks_default
      WHERE created_at >= day::timestamp AT TIME ZONE 'UTC' AND created_at < (day + 1)::timestamp AT TIME ZONE 'UTC');
    EXECUTE format(
      'CREATE TABLE public.%I PARTITION OF public.pds_health_checks FOR VALUES FROM (%L) TO (%L)',
      name, day || ' 00:00:00+00', day + 1 || ' 00:00:00+00');
    made := made + 1;
  END LOOP;
  RETURN made;
END $$;
REVOKE ALL ON FUNCTION make_health_partitions(integer) FROM PUBLIC;

SELECT make_health_partitions(7);
