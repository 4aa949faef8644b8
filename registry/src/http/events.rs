//! `GET /v2/_longshore/events`: what changes, for those who keep copies. A page, which may be waited for; or a stream, to whoever
//! accepts one.

use std::{sync::Arc, time::Duration};

use http::header;
use longshore_oci::{Change, ChangePage, RepositoryName, Route};
use tokio::time::{Instant, timeout_at};

use super::{Call, Outcome, admission, event_stream, page::Page, reply};
use crate::{
    access::Caller,
    error::Error,
    feed::Following,
    registry::Registry,
    state::{OutboxEvent, OutboxHead},
};

/// How many positions are read in one query.
const STRETCH: u64 = 500;
/// How many queries one page may take. It may have nothing on it though changes follow.
const STRETCHES: usize = 10;
/// The longest that a page is waited for.
const MOST_WAIT: Duration = Duration::from_mins(1);

pub async fn events<B>(registry: &Arc<Registry>, call: &Call<B>) -> Outcome {
    let query = call.query();
    let page = Page::of(registry, query)?;
    let wait = wait(query.get("wait").as_deref())?;
    let only = query.get("repository").filter(|name| !name.is_empty());
    let only = only.map(|name| name.parse()).transpose().map_err(|error| Error::EventsQuery(format!("repository: {error}")))?;
    let following = registry.feed.follow().ok_or(Error::Overloaded)?;
    let head = registry.feed.look().await?;
    let given = call.header(header::HeaderName::from_static("last-event-id")).map(str::to_owned);
    let given = given.or_else(|| query.get("after").map(std::borrow::Cow::into_owned));
    let (teller, is_reset) = Teller::new(registry.clone(), only, &head, given.as_deref());
    if call.header(header::ACCEPT).is_some_and(event_stream::is_accepted) {
        return Ok(event_stream::answer(call, teller, following, is_reset));
    }
    let most = usize::try_from(page.length).unwrap_or(usize::MAX);
    Ok(reply::json(&gather(registry, call, (teller, is_reset), following, (most, Instant::now() + wait)).await?))
}

fn wait(text: Option<&str>) -> Result<Duration, Error> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(Duration::ZERO) };
    let seconds =
        text.parse().map_err(|_| Error::EventsQuery(format!("the parameter wait is a count of seconds, not {text:?}")))?;
    Ok(Duration::from_secs(seconds).min(MOST_WAIT))
}

/// The next changes, at most so many; where there are none, those that come until a time.
async fn gather<B>(
    registry: &Arc<Registry>,
    call: &Call<B>,
    (mut teller, mut is_reset): (Teller, bool),
    mut following: Following,
    (most, until): (usize, Instant),
) -> Result<ChangePage, Error> {
    let mut caller = call.caller.clone();
    let mut events = Vec::new();
    while !is_reset && most > 0 {
        let reach = following.reach();
        for _ in 0..STRETCHES {
            if teller.at >= reach || events.len() >= most {
                break;
            }
            match teller.next(&caller, reach, most - events.len()).await? {
                Some(more) => events.extend(more),
                None => is_reset = true,
            }
        }
        let is_behind = teller.at < reach;
        if is_reset || is_behind || !events.is_empty() || !matches!(timeout_at(until, following.changed()).await, Ok(true)) {
            break;
        }
        // Meanwhile it may have lost what it had when it came.
        caller = admission::admit(registry, &Route::Events, &call.parts, call.client, call.certificate.as_ref()).await?;
    }
    if is_reset {
        events.clear();
        teller.restart(&registry.feed.look().await?);
    }
    Ok(ChangePage { position: teller.position(), is_reset, events })
}

/// Who reads on, from a position.
pub struct Teller {
    registry: Arc<Registry>,
    only: Option<RepositoryName>,
    epoch: String,
    /// The last position that was read.
    pub at: u64,
}

impl Teller {
    /// From a position that was told before; where there is none, or changes may be missing after it, which is true, from now on.
    fn new(registry: Arc<Registry>, only: Option<RepositoryName>, head: &OutboxHead, given: Option<&str>) -> (Self, bool) {
        let known = given.and_then(read).filter(|(epoch, position)| head.reaches(epoch, *position));
        let at = known.map_or(head.position, |(_, position)| position);
        (Self { registry, only, epoch: head.epoch.clone(), at }, known.is_none())
    }

    /// Goes on from now.
    pub fn restart(&mut self, head: &OutboxHead) {
        self.epoch.clone_from(&head.epoch);
        self.at = head.position;
    }

    /// How far there is anything to tell.
    pub async fn look(&self) -> Result<OutboxHead, Error> {
        Ok(self.registry.feed.look().await?)
    }

    /// Whose changes it reads.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Where it is, for those who come again.
    pub fn position(&self) -> String {
        written(&self.epoch, self.at)
    }

    /// The next changes that a caller may know of, up to a position and so many at most. `None` where some are missing.
    pub async fn next(&mut self, caller: &Caller, upto: u64, most: usize) -> Result<Option<Vec<Change>>, Error> {
        let upto = upto.min(self.at.saturating_add(STRETCH));
        let (head, events) = self.registry.state.outbox(self.at, upto).await?;
        if !head.reaches(&self.epoch, self.at) {
            return Ok(None);
        }
        let mut seen = events.into_iter().filter(|event| self.is_for(caller, event)).peekable();
        let changes: Vec<Change> = seen.by_ref().take(most).map(|event| self.change(event)).collect();
        // Where more follow than are wanted, it goes on in the middle.
        self.at = seen.peek().map_or(upto, |next| next.position - 1);
        Ok(Some(changes))
    }

    /// What is no repository's may be of any, and says no more than that it was.
    fn is_for(&self, caller: &Caller, event: &OutboxEvent) -> bool {
        if event.repository.is_empty() {
            return caller.sees_any();
        }
        let is_wanted = self.only.as_ref().is_none_or(|only| only.as_str() == event.repository);
        is_wanted && (caller.sees_all() || event.repository.parse().is_ok_and(|name| caller.sees(&name)))
    }

    fn change(&self, event: OutboxEvent) -> Change {
        Change {
            position: written(&self.epoch, event.position),
            at: event.happened_at.to_string(),
            kind: event.kind,
            repository: Some(event.repository).filter(|name| !name.is_empty()),
            tag: event.tag,
            digest: event.digest,
        }
    }
}

fn written(epoch: &str, position: u64) -> String {
    format!("{epoch}-{position}")
}

fn read(text: &str) -> Option<(&str, u64)> {
    let (epoch, position) = text.split_once('-')?;
    position.bytes().all(|byte| byte.is_ascii_digit()).then(|| Some((epoch, position.parse().ok()?)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_positions_and_waits() {
        assert_eq!(read(&written("0af3", 12)), Some(("0af3", 12)));
        for text in ["", "-", "a", "a-", "a-x", "a-+1", "a-1-2", "a-99999999999999999999"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(wait(None).unwrap(), Duration::ZERO);
        assert_eq!((wait(Some("3")).unwrap(), wait(Some("99999")).unwrap()), (Duration::from_secs(3), MOST_WAIT));
        assert!(wait(Some("-1")).is_err() && wait(Some("1s")).is_err());
    }
}
