-- Changes whose record is being written beside the blobs, or may lie there though it was never committed.
CREATE TABLE pending_changes (
    revision BIGINT PRIMARY KEY,
    repository TEXT COLLATE "C" NOT NULL,
    begun_at BIGINT NOT NULL
);

-- Whether a claim of the upload was given up without a checkpoint, or ran out: it may have written objects that no row names.
ALTER TABLE uploads ADD COLUMN has_strays BOOLEAN NOT NULL DEFAULT FALSE;

CREATE INDEX tag_history_by_time ON tag_history (changed_at);
