-- What tells a rebuilding that the blob is the repository's: the revision of a record; 0 where that has yet to be written; nothing where
-- the blob's own object lies below the repository.
ALTER TABLE repository_blobs ADD COLUMN revision BIGINT;

UPDATE repository_blobs SET revision = 0
WHERE NOT EXISTS (
    SELECT 1 FROM blobs b JOIN repositories n ON n.id = repository_blobs.repository_id
    WHERE b.digest = repository_blobs.digest AND b.object_key > 'repositories/' || n.name || '/_blobs/'
        AND b.object_key < 'repositories/' || n.name || '/_blobs0');

CREATE INDEX repository_blobs_by_revision ON repository_blobs (revision, repository_id, digest) WHERE revision IS NOT NULL;

-- Of an object that holds a whole blob: the repository below which it lies, and the blob.
ALTER TABLE garbage ADD COLUMN repository TEXT COLLATE "C";
ALTER TABLE garbage ADD COLUMN digest TEXT COLLATE "C";

CREATE INDEX garbage_by_digest ON garbage (digest, repository) WHERE digest IS NOT NULL;
