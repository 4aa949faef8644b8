//! Who leads.

use uuid::Uuid;

/// A replica wants to lead, or to go on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeaseWish {
    /// The replica: another each time a process starts.
    pub holder: Uuid,
    /// Where others reach it.
    pub address: String,
    /// How long it leads without asking again, in milliseconds.
    pub length_ms: i64,
}

/// The lead.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lease {
    /// Who has it.
    pub holder: Uuid,
    /// Where others reach it.
    pub address: String,
    /// Which turn it is, counted from 1.
    pub term: u64,
    /// For how much longer, by the database's clock, in milliseconds; none or less where it has run out.
    pub remaining_ms: i64,
}
