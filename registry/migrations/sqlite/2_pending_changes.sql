-- Changes whose record is being written beside the blobs, or may lie there though it was never committed.
CREATE TABLE pending_changes (
    revision INTEGER PRIMARY KEY,
    repository TEXT NOT NULL,
    begun_at INTEGER NOT NULL
) STRICT;

-- Whether a claim of the upload was given up without a checkpoint, or ran out: it may have written objects that no row names.
ALTER TABLE uploads ADD COLUMN has_strays INTEGER NOT NULL DEFAULT 0;

CREATE INDEX tag_history_by_time ON tag_history (changed_at);
