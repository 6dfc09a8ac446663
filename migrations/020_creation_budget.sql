-- The budget of account creations as what it has to hold: a PDS counts them in windows of time, wherever those begin.
-- A bucket that refills while it is emptied lets nearly twice as many through in one window.
-- budget_tokens and budget_at stay for now: while this is deployed, workers of the version before still count by them.
ALTER TABLE pds_providers ADD COLUMN creations timestamptz[] NOT NULL DEFAULT '{}';  -- when accounts were asked for lately

-- Who waits, in order of age: what a place in the line is counted by.
CREATE INDEX pds_provisioning_queue_open ON pds_provisioning_queue (id) WHERE status IN ('pending', 'processing');
