-- What a member's retry and his login look for; rows of work that is over stay in the table.
CREATE INDEX pds_provisioning_queue_member ON pds_provisioning_queue (user_id, id);
