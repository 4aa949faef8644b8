use std::{collections::BTreeSet, time::Duration};

use longshore_fleet::{
    Name,
    api::{Code, Event, EventKind, Problem},
};
use reqwest::{Method, Response, header::ACCEPT};
use serde::Deserialize;

use super::{FleetClient, FleetError, patience::Tries, with_query};
use crate::sse::{Events, MOST_EVENT_BYTES, SseEvent};

/// Which changes to hear of; all of what is not said.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct WatchFilter {
    /// Of what.
    pub kinds: BTreeSet<EventKind>,
    /// Where.
    pub namespace: Option<Name>,
}

/// Changes, as they happen. Where the connection is lost it goes on after the last that was heard of, so that none is missed and none
/// comes twice; where the history no longer goes back so far, that is the error [`Code::HistoryGone`].
pub struct Watch<'a> {
    client: &'a FleetClient,
    filter: WatchFilter,
    since: Option<u64>,
    open: Option<(Response, Events)>,
    tries: Tries,
}

impl FleetClient {
    /// The changes after a position, or from now on.
    pub fn watch(&self, filter: WatchFilter, since: Option<u64>) -> Watch<'_> {
        Watch { client: self, filter, since, open: None, tries: self.options.patience.begin() }
    }
}

impl Watch<'_> {
    /// The next change.
    pub async fn next(&mut self) -> Result<Event, FleetError> {
        loop {
            match self.heard().await {
                Ok(Some(event)) => {
                    self.tries = self.client.options.patience.begin();
                    // What has come before is told again by a server that is not sure.
                    if reach(&mut self.since, event.position) {
                        return Ok(event);
                    }
                }
                Ok(None) => self.wait(None).await?,
                Err(error) => self.wait(Some(error)).await?,
            }
        }
    }

    /// The next event of the connection; `None` where the server ends it.
    async fn heard(&mut self) -> Result<Option<Event>, FleetError> {
        let client = self.client;
        let (response, events) = match &mut self.open {
            Some(open) => open,
            None => self.open.insert((client.open_watch(&self.filter, self.since).await?, Events::default())),
        };
        loop {
            if let Some(event) = events.next() {
                return Ok(match client.read_event(&event)? {
                    Heard::Event(event) => Some(*event),
                    Heard::End(position) => {
                        position.map(|position| reach(&mut self.since, position));
                        None
                    }
                });
            }
            // The server has looked further than to the last event that is for this watch: what is in between is not asked for again, which
            // the history may no longer have.
            if let Some(position) = events.last_id().and_then(|id| id.parse().ok()) {
                reach(&mut self.since, position);
            }
            if events.is_too_long() {
                return Err(client.malformed(format!("an event is longer than {MOST_EVENT_BYTES} bytes")));
            }
            match response.chunk().await.map_err(|error| client.unreachable(error))? {
                Some(chunk) => events.push(&chunk),
                None => return Ok(None),
            }
        }
    }

    /// Waits before the connection is made anew, where that may help.
    async fn wait(&mut self, error: Option<FleetError>) -> Result<(), FleetError> {
        self.open = None;
        let asked = match &error {
            None => Some(Duration::ZERO),
            Some(error) => error.pause(true),
        };
        match (asked.and_then(|asked| self.tries.next(asked)), error) {
            (Some(pause), _) => {
                tokio::time::sleep(pause).await;
                Ok(())
            }
            (None, Some(error)) => Err(error),
            (None, None) => Err(self.client.malformed("it ends each watch as soon as it begins")),
        }
    }
}

impl FleetClient {
    async fn open_watch(&self, filter: &WatchFilter, since: Option<u64>) -> Result<Response, FleetError> {
        let kinds: Vec<String> = filter.kinds.iter().filter_map(|kind| word(*kind)).collect();
        let asked = [
            ("since", since.map(|since| since.to_string())),
            ("kinds", Some(kinds.join(",")).filter(|kinds| !kinds.is_empty())),
            ("namespace", filter.namespace.as_ref().map(ToString::to_string)),
        ];
        let url = with_query(self.at(&[&"watch"]), asked);
        let request = || self.http.request(Method::GET, url.clone()).header(ACCEPT, "text/event-stream");
        self.again(&self.http, request).await
    }

    /// What was told.
    fn read_event(&self, event: &SseEvent) -> Result<Heard, FleetError> {
        let end = || serde_json::from_str::<End>(&event.data).unwrap_or_default();
        match event.kind.as_str() {
            "gone" => {
                let problem = Box::new(Problem::new(Code::HistoryGone, end().message));
                Err(FleetError::Refused { url: self.url().clone(), problem, retry_after: None, request_id: None })
            }
            "behind" | "draining" | "expired" => Ok(Heard::End(end().position)),
            _ => {
                let read = serde_json::from_str(&event.data);
                read.map(Heard::Event).map_err(|error| self.malformed(format!("an event can't be read: {error}")))
            }
        }
    }
}

/// What a server tells a watch.
enum Heard {
    /// A change.
    Event(Box<Event>),
    /// That there are no more, where somebody who comes again is served on, from this position.
    End(Option<u64>),
}

/// Goes on to a position; whether that is further than before.
fn reach(since: &mut Option<u64>, position: u64) -> bool {
    let is_further = since.is_none_or(|since| position > since);
    if is_further {
        *since = Some(position);
    }
    is_further
}

/// Why a watch ends, and how far it has come.
#[derive(Default, Deserialize)]
struct End {
    position: Option<u64>,
    #[serde(default)]
    message: String,
}

/// A kind as it is written.
fn word(kind: EventKind) -> Option<String> {
    serde_json::to_value(kind).ok()?.as_str().map(str::to_owned)
}
