-- Nobody is there who calls these, or who leaves the version open.
DROP FUNCTION nexus.commit_1(uuid, bigint, uuid, uuid, bigint, bytea);
DROP FUNCTION nexus.heartbeat_1(uuid, text, text, integer, text[], bigint);
UPDATE nexus.log SET version = '' WHERE version IS NULL;
ALTER TABLE nexus.log ALTER COLUMN version SET NOT NULL;
