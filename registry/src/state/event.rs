/// What can happen, as the outbox names it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EventKind {
    /// A blob came into a repository by a push.
    BlobPushed,
    /// A blob came into a repository from another.
    BlobMounted,
    /// A blob left a repository.
    BlobDeleted,
    /// A manifest came, or came again.
    ManifestPushed,
    /// A manifest went.
    ManifestDeleted,
    /// A tag was set.
    TagSet,
    /// A tag went.
    TagDeleted,
}

impl EventKind {
    /// How the database writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BlobPushed => "blob.pushed",
            Self::BlobMounted => "blob.mounted",
            Self::BlobDeleted => "blob.deleted",
            Self::ManifestPushed => "manifest.pushed",
            Self::ManifestDeleted => "manifest.deleted",
            Self::TagSet => "tag.set",
            Self::TagDeleted => "tag.deleted",
        }
    }
}
