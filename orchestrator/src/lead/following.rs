//! What callers have changed since it was looked at last.
//!
//! A leader's own events stand among those of callers. It knows where: a commit says the position of its last, and they stand together. So
//! what it has to read is only what lies between.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use longshore_fleet::{
    Name, NodeId, OperationId, WorkloadId,
    api::{Event, EventKind},
};

use super::State;
use crate::state::StateError;

/// How many events are read at once.
const PART: u32 = 1_000;

/// A thing that callers have changed.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Changed {
    Workload(WorkloadId),
    Node(NodeId),
    Namespace(Name),
    Operation(OperationId),
}

/// How far events were read.
#[derive(Debug)]
pub(crate) struct Following {
    position: u64,
    /// Positions of its own events that are past that: first and last.
    own: BTreeMap<u64, u64>,
}

impl Following {
    pub(crate) const fn from(position: u64) -> Self {
        Self { position, own: BTreeMap::new() }
    }

    /// So many events were its own, the last of them there.
    pub(crate) fn note_own(&mut self, last: u64, count: usize) {
        let count = count as u64;
        if count > 0 && last > self.position {
            self.own.insert(last + 1 - count, last);
            self.skip_own();
        }
    }

    fn skip_own(&mut self) {
        while let Some((&first, &last)) = self.own.first_key_value()
            && first <= self.position + 1
        {
            self.position = self.position.max(last);
            self.own.pop_first();
        }
    }

    /// Up to where everything is known.
    pub(crate) const fn position(&self) -> u64 {
        self.position
    }

    /// What was changed since it was asked last.
    pub(crate) async fn changes(
        state: State,
        from: u64,
        own: Vec<RangeInclusive<u64>>,
    ) -> Result<(u64, BTreeSet<Changed>), StateError> {
        let mut changes = BTreeSet::new();
        let mut position = from;
        // Where nothing was changed this is all that is asked.
        if state.position().await? == position {
            return Ok((position, changes));
        }
        loop {
            let page = state.events(position, PART).await?;
            let is_last = page.events.len() < PART as usize;
            position = page.position;
            let others = page.events.iter().filter(|event| !own.iter().any(|own| own.contains(&event.position)));
            changes.extend(others.filter_map(changed));
            if is_last {
                return Ok((position, changes));
            }
        }
    }

    /// Where its own events stand that were not passed yet.
    pub(crate) fn own(&self) -> Vec<RangeInclusive<u64>> {
        self.own.iter().map(|(first, last)| *first..=*last).collect()
    }

    /// Everything up to there was read.
    pub(crate) fn read_up_to(&mut self, position: u64) {
        self.position = self.position.max(position);
        self.own.retain(|_, last| *last > position);
        self.skip_own();
    }
}

fn changed(event: &Event) -> Option<Changed> {
    match event.kind {
        EventKind::Namespace => event.name.parse().ok().map(Changed::Namespace),
        EventKind::Deployment | EventKind::Job => event.id.parse().ok().map(Changed::Workload),
        EventKind::Node => event.id.parse().ok().map(Changed::Node),
        EventKind::Operation => event.id.parse().ok().map(Changed::Operation),
        // Pods are the leader's own.
        EventKind::Pod => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_events_are_passed_over_wherever_they_stand() {
        let mut following = Following::from(10);
        following.note_own(13, 3);
        assert_eq!((following.position(), following.own()), (13, vec![]), "nobody was in between");
        following.note_own(20, 2);
        assert_eq!((following.position(), following.own()), (13, vec![19..=20]), "14 to 18 are others'");
        following.read_up_to(18);
        assert_eq!((following.position(), following.own()), (20, vec![]));
        following.note_own(20, 0);
        following.note_own(15, 3);
        assert_eq!(following.position(), 20, "what was read stays read");
    }
}
