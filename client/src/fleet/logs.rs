use bytes::Bytes;
use longshore_fleet::PodId;
use reqwest::{Method, Response};

use super::{FleetClient, FleetError, with_query};
use crate::Fault;

/// What of a pod's output is wanted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LogsWish {
    /// Whether what is yet to be written is wanted, too.
    pub follow: bool,
    /// How many of the last lines; all that are kept where there is none.
    pub tail: Option<u32>,
    /// Whether of the container before the one that runs.
    pub previous: bool,
    /// Whether each line begins with when it was written.
    pub timestamps: bool,
}

/// What a pod has written, as it comes.
#[derive(Debug)]
pub struct Logs {
    client: FleetClient,
    response: Response,
}

impl Logs {
    /// The next of it; `None` at its end. What breaks off before that is the error [`FleetError::BrokenOff`]: the orchestrator stops, the
    /// token has ended, or the node is gone.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FleetError> {
        self.response.chunk().await.map_err(|error| {
            let (url, fault) = (self.client.url().clone(), Fault::of(&error));
            FleetError::BrokenOff { url, fault, source: Box::new(error) }
        })
    }
}

impl FleetClient {
    /// What a pod writes.
    pub async fn logs(&self, id: PodId, wish: LogsWish) -> Result<Logs, FleetError> {
        let flag = |is_set: bool| is_set.then(|| "true".to_owned());
        let asked = [
            ("follow", flag(wish.follow)),
            ("tail", wish.tail.map(|tail| tail.to_string())),
            ("previous", flag(wish.previous)),
            ("timestamps", flag(wish.timestamps)),
        ];
        let url = with_query(self.at(&[&"pods", &id, &"logs"]), asked);
        let http = if wish.follow { &self.following } else { &self.http };
        let response = self.again(http, || http.request(Method::GET, url.clone())).await?;
        Ok(Logs { client: self.clone(), response })
    }
}
