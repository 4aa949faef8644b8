//! An operation as its edge tells of it, event by event.

use reqwest::Response;

use super::Operation;
use crate::{
    ClientError, RegistryClient,
    sse::{Events, MOST_EVENT_BYTES},
};

/// An operation as it goes on.
pub struct OperationEvents<'a> {
    client: &'a RegistryClient,
    response: Response,
    events: Events,
}

impl<'a> OperationEvents<'a> {
    pub(super) fn new(client: &'a RegistryClient, response: Response) -> Self {
        Self { client, response, events: Events::default() }
    }

    /// How it is after the next change; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Operation>, ClientError> {
        loop {
            if let Some(event) = self.events.next() {
                let operation = serde_json::from_str(&event.data);
                return operation.map(Some).map_err(|error| self.client.malformed(format!("an event can't be read: {error}")));
            }
            if self.events.is_too_long() {
                return Err(self.client.malformed(format!("an event is longer than {MOST_EVENT_BYTES} bytes")));
            }
            match self.response.chunk().await.map_err(|error| self.client.unreachable(error))? {
                Some(chunk) => self.events.push(&chunk),
                None => return Ok(None),
            }
        }
    }
}
