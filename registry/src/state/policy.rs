use jiff::Timestamp;

/// A policy document that was applied.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredDocument {
    /// What it is applied, shown and removed by.
    pub name: String,
    /// Its text, as it was sent.
    pub text: String,
    /// The number of the change that brought it; whatever stands here when it is put does not count.
    pub revision: u64,
    /// When it was applied.
    pub applied_at: Timestamp,
    /// Who did; `None` where nobody was asked.
    pub applied_by: Option<String>,
}
