-- Policy documents that were applied, each as it was sent.
CREATE TABLE policies (
    name TEXT PRIMARY KEY,
    document TEXT NOT NULL,
    -- The version that it came with.
    revision INTEGER NOT NULL,
    applied_at INTEGER NOT NULL,
    applied_by TEXT
) STRICT, WITHOUT ROWID;

-- Counts their changes, for those who remember them.
CREATE TABLE policy_version (
    version INTEGER NOT NULL
) STRICT;
INSERT INTO policy_version (version) VALUES (1);
