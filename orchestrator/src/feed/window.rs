//! The last events, kept for those who watch.

use std::{collections::VecDeque, sync::Arc};

use longshore_fleet::{
    Name,
    api::{Event, EventKind},
};

/// How many events are kept at most.
const MOST_EVENTS: usize = 16_384;
/// How many bytes of them are kept at most.
const MOST_BYTES: usize = 64 << 20;

/// An event as it is told, written once for all who watch.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) position: u64,
    pub(crate) kind: EventKind,
    pub(crate) namespace: Option<Name>,
    /// The event as JSON.
    pub(crate) text: String,
}

impl Told {
    pub(crate) fn new(event: Event) -> Self {
        let text = serde_json::to_string(&event).unwrap_or_else(|_| unreachable!("an event is always JSON"));
        Self { position: event.position, kind: event.kind, namespace: event.namespace, text }
    }
}

/// The last events, without gaps.
#[derive(Debug, Default)]
pub(crate) struct Window {
    events: VecDeque<Arc<Told>>,
    bytes: usize,
}

impl Window {
    /// Adds what follows, and lets go of the oldest where it is too much.
    pub(super) fn extend(&mut self, events: Vec<Event>) {
        for event in events {
            let told = Told::new(event);
            self.bytes += told.text.len();
            self.events.push_back(Arc::new(told));
        }
        while self.events.len() > MOST_EVENTS || self.bytes > MOST_BYTES {
            let Some(oldest) = self.events.pop_front() else { return };
            self.bytes -= oldest.text.len();
        }
    }

    pub(super) fn clear(&mut self) {
        self.events.clear();
        self.bytes = 0;
    }

    /// The events after a position, so many at most; `None` where the next one is not kept.
    pub(super) fn after(&self, position: u64, most: usize) -> Option<Vec<Arc<Told>>> {
        let first = self.events.front()?.position;
        let next = position.checked_add(1)?;
        let skipped = usize::try_from(next.checked_sub(first)?).ok()?;
        let events: Vec<Arc<Told>> = self.events.iter().skip(skipped).take(most).cloned().collect();
        (!events.is_empty()).then_some(events)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use longshore_fleet::api::Change;

    use super::*;

    fn event(position: u64, message: &str) -> Event {
        Event {
            position,
            at: Timestamp::UNIX_EPOCH,
            kind: EventKind::Pod,
            change: Change::Noted,
            id: "pod".into(),
            namespace: None,
            name: "a".into(),
            reason: "Placed".into(),
            message: message.into(),
            author: None,
            object: None,
        }
    }

    #[test]
    fn what_is_kept_has_no_gaps() {
        let mut window = Window::default();
        assert!(window.after(0, 10).is_none());
        window.extend((5..=9).map(|position| event(position, "")).collect());
        let positions =
            |after, most| window.after(after, most).map(|told| told.iter().map(|told| told.position).collect::<Vec<_>>());
        assert_eq!(positions(4, 3), Some(vec![5, 6, 7]));
        assert_eq!(positions(7, 10), Some(vec![8, 9]));
        assert_eq!((positions(3, 10), positions(9, 10), positions(u64::MAX, 1)), (None, None, None));
    }

    #[test]
    fn it_has_an_end_in_events_and_in_bytes() {
        let mut window = Window::default();
        window.extend((1..=MOST_EVENTS as u64 + 5).map(|position| event(position, "")).collect());
        assert_eq!((window.events.len(), window.events[0].position), (MOST_EVENTS, 6));
        let long = "x".repeat(MOST_BYTES / 2);
        window.extend((20_000..20_003).map(|position| event(position, &long)).collect());
        assert!(window.bytes <= MOST_BYTES && window.events.len() == 1, "{}", window.events.len());
    }
}
