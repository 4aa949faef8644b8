use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::AuditLimits;
use crate::state::{Event, EventKind};

/// In this time lines are counted.
const WINDOW: Duration = Duration::from_secs(1);

/// What waits to be written, as far as there is room: a pure thing, to which the time is told.
pub struct Queue {
    limits: AuditLimits,
    waiting: Vec<(Event, u64)>,
    /// Where the first of those lies that are one line.
    places: HashMap<Repeated, usize>,
    /// How many were taken out and are not written yet.
    in_hand: usize,
    lost: u64,
    window_at: Instant,
    taken_in_window: u32,
}

/// What has to be equal for one line to be enough.
#[derive(Eq, Hash, PartialEq)]
struct Repeated {
    kind: EventKind,
    actor: Option<String>,
    address: Option<IpAddr>,
    about: [Option<String>; 3],
    detail: Option<String>,
}

impl Queue {
    /// Nothing waits at this time.
    pub fn new(limits: AuditLimits, now: Instant) -> Self {
        Self { limits, waiting: Vec::new(), places: HashMap::new(), in_hand: 0, lost: 0, window_at: now, taken_in_window: 0 }
    }

    /// Takes something in. A refusal that is there already is counted with it. False where it was lost.
    pub fn push(&mut self, event: Event, now: Instant) -> bool {
        let repeated = Repeated::of(&event);
        if let Some((_, count)) = repeated.as_ref().and_then(|key| self.waiting.get_mut(*self.places.get(key)?)) {
            *count += 1;
            return true;
        }
        if now.saturating_duration_since(self.window_at) >= WINDOW {
            (self.window_at, self.taken_in_window) = (now, 0);
        }
        // Of both a part is for logins alone: whoever has itself refused again and again hides no login.
        let is_login = matches!(event.kind, EventKind::LoginSucceeded | EventKind::LoginFailed | EventKind::LoginThrottled);
        let (queue, lines_per_second) = match self.limits {
            AuditLimits { queue, lines_per_second } if is_login => (queue, lines_per_second),
            AuditLimits { queue, lines_per_second } => (queue - queue / 4, lines_per_second - lines_per_second / 4),
        };
        if self.waiting.len() + self.in_hand >= queue || self.taken_in_window >= lines_per_second {
            self.lost += 1;
            return false;
        }
        self.taken_in_window += 1;
        if let Some(key) = repeated {
            self.places.insert(key, self.waiting.len());
        }
        self.waiting.push((event, 1));
        true
    }

    /// Takes everything out to be written, and with it how much was lost. It takes up its room until [`Self::settle`] is called.
    pub fn take(&mut self) -> Vec<Event> {
        self.places.clear();
        let mut events: Vec<Event> = self.waiting.drain(..).map(|(event, count)| counted(event, count)).collect();
        if self.lost > 0 {
            let detail = json!({ "lines": std::mem::take(&mut self.lost) });
            events.push(Event { detail: Some(detail), ..Event::of_nobody(EventKind::AuditLost) });
        }
        self.in_hand = events.len();
        events
    }

    /// Gives back the room of so many that were taken out, which are written, or lost.
    pub fn settle(&mut self, count: usize, is_written: bool) {
        self.in_hand = self.in_hand.saturating_sub(count);
        if !is_written {
            self.lost += count as u64;
        }
    }
}

impl Repeated {
    /// What a refusal is known by. Of logins each is told by itself.
    fn of(event: &Event) -> Option<Self> {
        (event.kind != EventKind::LoginSucceeded).then(|| Self {
            kind: event.kind,
            actor: event.actor.clone(),
            address: event.address,
            about: [event.repository.clone(), event.digest.clone(), event.tag.clone()],
            detail: event.detail.as_ref().map(Value::to_string),
        })
    }
}

/// The one line of several.
fn counted(mut event: Event, count: u64) -> Event {
    if count > 1 {
        event.detail.get_or_insert_with(|| json!({}))["count"] = count.into();
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(queue: usize, lines_per_second: u32) -> (Queue, Instant) {
        let now = Instant::now();
        (Queue::new(AuditLimits { queue, lines_per_second }, now), now)
    }

    fn event(kind: EventKind, actor: &str) -> Event {
        Event { actor: Some(actor.into()), ..Event::of_nobody(kind) }
    }

    fn told(events: Vec<Event>) -> Vec<String> {
        let told = |event: Event| {
            let detail = event.detail.map(|detail| detail.to_string()).unwrap_or_default();
            format!("{} {} {detail}", event.kind.as_str(), event.actor.unwrap_or_default())
        };
        events.into_iter().map(told).collect()
    }

    #[test]
    fn refusals_leave_room_for_logins() {
        let (mut queue, now) = queue(8, 1000);
        let denied = (0..8).filter(|number| queue.push(event(EventKind::AccessDenied, &number.to_string()), now)).count();
        assert_eq!(denied, 6);
        assert!(queue.push(event(EventKind::LoginFailed, "a"), now) && queue.push(event(EventKind::LoginSucceeded, "a"), now));
        assert!(!queue.push(event(EventKind::LoginSucceeded, "b"), now));
    }

    #[test]
    fn what_there_is_no_room_for_is_counted_in_one_line() {
        let (mut queue, now) = queue(2, 1000);
        let names = ["a", "b", "c", "d"];
        let taken = names.map(|name| queue.push(event(EventKind::AccessDenied, name), now));
        assert_eq!(taken, [true, true, false, false]);
        let events = queue.take();
        assert_eq!(told(events), ["access.denied a ", "access.denied b ", "audit.lost  {\"lines\":2}"]);
        assert!(!queue.push(event(EventKind::AccessDenied, "e"), now), "they are not written yet");
        queue.settle(3, true);
        assert!(queue.push(event(EventKind::AccessDenied, "f"), now));
        assert_eq!(told(queue.take()), ["access.denied f ", "audit.lost  {\"lines\":1}"]);
        queue.settle(2, false);
        assert_eq!(told(queue.take()), ["audit.lost  {\"lines\":2}"]);
    }

    #[test]
    fn a_second_takes_so_many() {
        let (mut queue, now) = queue(1000, 3);
        let mut push = |name: &str, at| queue.push(event(EventKind::LoginFailed, name), at);
        let taken = ["a", "b", "c", "d"].map(|name| push(name, now));
        assert_eq!(taken, [true, true, true, false]);
        assert!(push("a", now), "a repeat takes no line");
        assert!(!push("e", now + Duration::from_millis(999)));
        assert!(push("e", now + WINDOW));
    }

    #[test]
    fn repeats_are_one_line_and_logins_are_not() {
        let (mut queue, now) = queue(1000, 1000);
        for _ in 0..3 {
            queue.push(event(EventKind::LoginFailed, "a"), now);
            queue.push(event(EventKind::LoginSucceeded, "a"), now);
        }
        queue.push(Event { tag: Some("v1".into()), ..event(EventKind::LoginFailed, "a") }, now);
        let login = "login.succeeded a ";
        let expected = ["login.failed a {\"count\":3}", login, login, login, "login.failed a "];
        assert_eq!(told(queue.take()), expected);
        queue.push(event(EventKind::LoginFailed, "a"), now);
        assert_eq!(told(queue.take()), ["login.failed a "], "what was taken out is not added to");
    }
}
