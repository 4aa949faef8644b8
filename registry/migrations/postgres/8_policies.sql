-- Policy documents that were applied, each as it was sent.
CREATE TABLE policies (
    name TEXT COLLATE "C" PRIMARY KEY,
    document TEXT COLLATE "C" NOT NULL,
    -- The version that it came with.
    revision BIGINT NOT NULL,
    applied_at BIGINT NOT NULL,
    applied_by TEXT COLLATE "C"
);

-- Counts their changes, for those who remember them.
CREATE TABLE policy_version (
    version BIGINT NOT NULL
);
INSERT INTO policy_version (version) VALUES (1);
