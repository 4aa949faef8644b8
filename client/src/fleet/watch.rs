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
                    if self.since.is_none_or(|since| event.position > since) {
                        self.since = Some(event.position);
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
                return client.read_event(&event);
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

    /// What was told: an event; or that there are no more, where somebody who comes again is served on.
    fn read_event(&self, event: &SseEvent) -> Result<Option<Event>, FleetError> {
        match event.kind.as_str() {
            "gone" => {
                let words: End = serde_json::from_str(&event.data).unwrap_or_default();
                let problem = Box::new(Problem::new(Code::HistoryGone, words.message));
                Err(FleetError::Refused { url: self.url().clone(), problem, retry_after: None, request_id: None })
            }
            "behind" | "draining" | "expired" => Ok(None),
            _ => {
                let read = serde_json::from_str(&event.data);
                read.map(Some).map_err(|error| self.malformed(format!("an event can't be read: {error}")))
            }
        }
    }
}

/// Why a watch ends.
#[derive(Default, Deserialize)]
struct End {
    #[serde(default)]
    message: String,
}

/// A kind as it is written.
fn word(kind: EventKind) -> Option<String> {
    serde_json::to_value(kind).ok()?.as_str().map(str::to_owned)
}
