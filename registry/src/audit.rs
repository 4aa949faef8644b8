//! The audit log: who did what, from where, on what, with which result.
//!
//! A change leaves its event in the outbox in its own transaction. What is no change (a login, a refusal) is noted in memory, which takes
//! no longer than that, and a task of its own, the noter, writes it there a little later: nobody waits for it, and where there is more
//! than there is room for, or than is taken in a second, it is counted, and the log says how much it does not say. Another task, the
//! keeper, puts what lies in the outbox into a chain of lines, each with the hash of its text and of the line before.

mod keeper;
mod noter;
mod queue;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use longshore_oci::RepositoryName;
use prometheus::IntCounter;
use serde_json::Value;
use tokio::sync::Notify;

use crate::{
    access::AuthenticationError,
    state::{Event, EventKind},
};

pub use keeper::ChainKeeper;
pub use noter::Noter;
use queue::Queue;

/// How much may be noted.
#[derive(Clone, Copy, Debug)]
pub struct AuditLimits {
    /// How many lines may wait in memory.
    pub queue: usize,
    /// How many lines are taken in a second.
    pub lines_per_second: u32,
}

/// Where what is no change is noted.
pub struct Audit {
    queue: Mutex<Queue>,
    woken: Notify,
    lost: IntCounter,
}

impl Audit {
    /// Nothing noted yet; what can't be is counted.
    pub fn new(limits: AuditLimits, lost: IntCounter) -> Self {
        Self { queue: Mutex::new(Queue::new(limits, Instant::now())), woken: Notify::new(), lost }
    }

    /// Notes something, or that it could not be noted. Never waits for anybody.
    pub fn note(&self, event: Event) {
        let is_noted = self.queue.lock().expect("nobody panics with it").push(event, Instant::now());
        if !is_noted {
            self.lost.inc();
        }
        self.woken.notify_one();
    }

    /// Gives back the room of so many that were taken out, which are written, or lost.
    fn settle(&self, count: usize, is_written: bool) {
        self.queue.lock().expect("nobody panics with it").settle(count, is_written);
        if !is_written {
            self.lost.inc_by(count as u64);
            self.woken.notify_one();
        }
    }

    /// Notes that somebody showed an account's secret, to be known `by` it.
    pub fn login(&self, account: &str, by: &str) {
        let event = Event::now(EventKind::LoginSucceeded);
        self.note(Event { actor: Some(account.to_owned()), detail: Some(serde_json::json!({ "by": by })), ..event });
    }

    /// Notes that somebody was not let in as `account`; `None` where there is none of the name. That name is not noted: it may be
    /// anything, a password too.
    pub fn refused_login(&self, account: Option<&str>, error: &AuthenticationError) {
        let kind = match error {
            AuthenticationError::Throttled(_) => EventKind::LoginThrottled,
            AuthenticationError::Busy => return,
            _ => EventKind::LoginFailed,
        };
        let reason = match (account, error) {
            (_, AuthenticationError::Token(_)) => &error.to_string(),
            (_, AuthenticationError::Identity(reason) | AuthenticationError::Certificate(reason)) => reason,
            (_, AuthenticationError::Throttled(_)) => "too many logins failed before",
            (_, AuthenticationError::Unchecked(_)) => "the keys of its issuer can't be had",
            (None, _) => "there is no such account",
            (_, AuthenticationError::Wrong) => "the secret is wrong",
            (_, AuthenticationError::Barred(_)) => "the account is disabled, or has expired",
            _ => "what was shown is not valid",
        };
        let event = Event::now(kind);
        self.note(Event { actor: account.map(str::to_owned), detail: Some(serde_json::json!({ "reason": reason })), ..event });
    }

    /// Notes that the current author was refused something.
    pub fn refusal(&self, kind: EventKind, about: About, detail: Value) {
        let About { repository, digest, tag } = about;
        let repository = repository.map(|name| name.to_string());
        self.note(Event { repository, digest, tag, detail: Some(detail), ..Event::now(kind) });
    }
}

/// What a request is about.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The repository.
    pub repository: Option<RepositoryName>,
    /// The content.
    pub digest: Option<String>,
    /// The tag.
    pub tag: Option<String>,
}

/// An audit log, where there is one.
pub type SharedAudit = Option<Arc<Audit>>;

/// The pause between two looks, after which repeats have become one line, and what happened is soon to be read.
const PAUSE: Duration = Duration::from_millis(500);
/// How many lines are written in one transaction.
const BATCH: usize = 500;
