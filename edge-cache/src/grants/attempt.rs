//! In whose name a client's wish is put to an upstream.

use super::{Place, What, Who, book::Question};
use crate::upstream::Identity;

/// A way to ask for something: in whose name.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Whose right it would be.
    pub who: Who,
    /// How the upstream is asked for that right.
    pub checks: Identity,
    /// How what is granted is fetched.
    pub fetches: Identity,
    /// The second, since 1970, from which on the client's credential is no longer good, where that is known.
    pub(super) ends_at: Option<i64>,
    /// Whether the client's token is proven to cover pulls from the repository.
    pub(super) is_covered: bool,
}

impl Attempt {
    /// Whether it may be used to have something.
    pub(super) fn question(&self, place: &Place, what: &What) -> Question {
        let Self { who, ends_at, is_covered, .. } = self.clone();
        Question { place: place.clone(), what: what.clone(), who, ends_at, is_covered }
    }
}
