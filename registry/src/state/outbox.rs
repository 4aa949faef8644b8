use jiff::Timestamp;

/// Where the outbox stands, for those who follow it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OutboxHead {
    /// The name of this life of the database: positions of another are none here.
    pub epoch: String,
    /// The last position that was given.
    pub position: u64,
    /// Whoever stands before this has missed what was dropped.
    pub dropped: u64,
}

impl OutboxHead {
    /// Whether nothing is missing for who has seen all up to a position.
    pub fn reaches(&self, epoch: &str, position: u64) -> bool {
        self.epoch == epoch && (self.dropped..=self.position).contains(&position)
    }
}

/// A change, as the outbox has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OutboxEvent {
    /// Where it stands.
    pub position: u64,
    /// What it is, as [`super::EventKind::as_str`] says it.
    pub kind: String,
    /// Where; empty where it is no repository's.
    pub repository: String,
    /// The content.
    pub digest: Option<String>,
    /// The tag.
    pub tag: Option<String>,
    /// When.
    pub happened_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_of_one_life_and_of_what_is_kept() {
        let head = OutboxHead { epoch: "a".into(), position: 9, dropped: 4 };
        let reached = [3, 4, 9, 10].map(|position| head.reaches("a", position));
        assert_eq!((reached, head.reaches("b", 5)), ([false, true, true, false], false));
    }
}
