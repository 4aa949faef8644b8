-- The workload's revision at which a template was wanted last, which may be later than the one that it came with: one goes back to what was
-- wanted before, whatever its number.
ALTER TABLE revisions ADD COLUMN wanted BIGINT NOT NULL DEFAULT 0;
UPDATE revisions SET wanted = number;
-- What ended long ago is found by it.
CREATE INDEX rollouts_by_end ON rollouts (ended);
