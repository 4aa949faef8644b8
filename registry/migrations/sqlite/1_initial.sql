-- Times are microseconds since 1970, UTC. Digests and names are text; the default collation compares bytes.
--
-- A table that is also looked up by another index beginning with the same column keeps its rowid: without one, SQLite would rather walk
-- everything of a repository in the primary key than use that index.

CREATE TABLE repositories (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

-- A digest's bytes, wherever they are used: one row, one object.
CREATE TABLE blobs (
    digest TEXT PRIMARY KEY,
    size_bytes INTEGER NOT NULL,
    object_key TEXT NOT NULL,
    -- BLAKE3 of each 1 MiB piece, 32 bytes each, in order.
    pieces BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE repository_blobs (
    repository_id INTEGER NOT NULL REFERENCES repositories (id),
    digest TEXT NOT NULL REFERENCES blobs (digest),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (repository_id, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX repository_blobs_by_digest ON repository_blobs (digest);

CREATE TABLE manifests (
    repository_id INTEGER NOT NULL REFERENCES repositories (id),
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    artifact_type TEXT,
    subject TEXT,
    annotations TEXT NOT NULL,
    -- What an image runs on, as its configuration says.
    platform TEXT,
    content BLOB NOT NULL,
    -- The record that holds these bytes beside the blobs.
    revision INTEGER NOT NULL,
    pushed_at INTEGER NOT NULL,
    PRIMARY KEY (repository_id, digest)
) STRICT;
CREATE INDEX manifests_by_revision ON manifests (repository_id, revision);

CREATE TABLE manifest_edges (
    repository_id INTEGER NOT NULL,
    parent TEXT NOT NULL,
    position INTEGER NOT NULL,
    child TEXT NOT NULL,
    -- config, layer or manifest.
    kind TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    platform TEXT,
    PRIMARY KEY (repository_id, parent, position),
    FOREIGN KEY (repository_id, parent) REFERENCES manifests (repository_id, digest) ON DELETE CASCADE
) STRICT;
CREATE INDEX manifest_edges_by_child ON manifest_edges (child, repository_id);

CREATE TABLE tags (
    repository_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    revision INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (repository_id, name),
    FOREIGN KEY (repository_id, digest) REFERENCES manifests (repository_id, digest)
) STRICT;
CREATE INDEX tags_by_digest ON tags (repository_id, digest);
CREATE INDEX tags_by_revision ON tags (repository_id, revision);

CREATE TABLE tag_history (
    repository_id INTEGER NOT NULL REFERENCES repositories (id),
    name TEXT NOT NULL,
    revision INTEGER NOT NULL,
    -- What it was set to; nothing where it was deleted.
    digest TEXT,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (repository_id, name, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE referrers (
    repository_id INTEGER NOT NULL,
    subject TEXT NOT NULL,
    digest TEXT NOT NULL,
    artifact_type TEXT,
    PRIMARY KEY (repository_id, subject, digest),
    FOREIGN KEY (repository_id, digest) REFERENCES manifests (repository_id, digest) ON DELETE CASCADE
) STRICT;
CREATE INDEX referrers_by_digest ON referrers (repository_id, digest);

CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    repository TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    -- How long its parts are; settled for good, whatever the configuration says later.
    part_bytes INTEGER NOT NULL,
    offset_bytes INTEGER NOT NULL DEFAULT 0,
    hash_state BLOB NOT NULL DEFAULT x'',
    -- Counts the claims; the present one, if any, is its newest.
    generation INTEGER NOT NULL DEFAULT 0,
    claim TEXT,
    claimed_until INTEGER NOT NULL DEFAULT 0,
    -- Whether the claim before the present one ran out, and was not given up.
    is_taken_over INTEGER NOT NULL DEFAULT 0,
    -- The object in parts: the claim that began it, and its name to the store.
    parts_generation INTEGER,
    parts_id TEXT,
    -- Whether the last part is short, and so can't be followed by another.
    is_sealed INTEGER NOT NULL DEFAULT 0,
    -- The object that holds the bytes after the last part: the claim that wrote it, and its length.
    tail_generation INTEGER,
    tail_bytes INTEGER NOT NULL DEFAULT 0,
    -- Piece hashes of the bytes after the last whole part.
    pieces BLOB NOT NULL DEFAULT x'',
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE upload_parts (
    upload_id TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    tag TEXT NOT NULL,
    pieces BLOB NOT NULL,
    PRIMARY KEY (upload_id, number)
) STRICT, WITHOUT ROWID;

-- The outbox: every change, in the order of their commits as far as one writer can tell.
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    repository TEXT NOT NULL,
    digest TEXT,
    tag TEXT,
    happened_at INTEGER NOT NULL
) STRICT;

-- What has been written beside the blobs, so that all of the above but uploads and events can be rebuilt from there.
CREATE TABLE records (
    repository_id INTEGER NOT NULL REFERENCES repositories (id),
    revision INTEGER NOT NULL,
    -- No manifest and no tag has its revision from it any more.
    is_dead INTEGER NOT NULL,
    PRIMARY KEY (repository_id, revision)
) STRICT, WITHOUT ROWID;
CREATE INDEX records_dead ON records (repository_id, revision) WHERE is_dead;

-- The digests and tags that a record speaks of, as it names them: a digest has a colon, a tag has none.
CREATE TABLE record_subjects (
    repository_id INTEGER NOT NULL,
    subject TEXT NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (repository_id, subject, revision),
    FOREIGN KEY (repository_id, revision) REFERENCES records (repository_id, revision) ON DELETE CASCADE
) STRICT;
CREATE INDEX record_subjects_by_revision ON record_subjects (repository_id, revision, subject);

-- Objects that nothing needs, to be deleted when due.
CREATE TABLE garbage (
    object_key TEXT NOT NULL,
    -- The name of an object in parts to the store; empty for a whole object.
    parts_id TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    PRIMARY KEY (object_key, parts_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX garbage_by_due ON garbage (due_at);

-- Has a row while the database is being rebuilt from the store, and still has it where that was broken off.
CREATE TABLE rebuilding (
    begun_at INTEGER NOT NULL
) STRICT;
