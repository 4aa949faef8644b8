//! What changes something: named once, so that it is done once, however often it is sent.

use longshore_fleet::api::{Applied, Plan};
use reqwest::{
    Method, Response, Url,
    header::{HeaderMap, HeaderValue, IF_MATCH, IF_NONE_MATCH},
};
use serde::Serialize;
use uuid::Uuid;

use super::{FleetClient, FleetError};

/// What names an act.
const OPERATION_ID: &str = "x-operation-id";

/// What the caller has seen of what is to be changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Seen {
    /// That there is none of its name.
    None,
    /// This revision.
    Revision(u64),
    /// It does not matter, or what is changed has no revisions.
    Anything,
}

impl Seen {
    fn headers(self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        match self {
            Self::None => {
                headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
            }
            Self::Revision(revision) => {
                let value = format!("\"{revision}\"");
                headers.insert(IF_MATCH, value.parse().unwrap_or_else(|_| unreachable!("digits are a header's value")));
            }
            Self::Anything => {}
        }
        headers
    }
}

impl FleetClient {
    /// Changes something, once.
    pub(super) async fn act(
        &self,
        method: Method,
        url: Url,
        seen: Seen,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<Response, FleetError> {
        let id = Uuid::now_v7().to_string();
        let request = || {
            let request = self.http.request(method.clone(), url.clone()).headers(seen.headers()).header(OPERATION_ID, &id);
            match body {
                Some(body) => request.json(body),
                None => request,
            }
        };
        self.again(&self.http, request).await
    }

    /// The same of what has no body.
    pub(super) async fn bare_act(&self, method: Method, url: Url, seen: Seen) -> Result<Response, FleetError> {
        self.act(method, url, seen, None::<&()>).await
    }

    /// Changes a workload.
    pub(super) async fn apply(
        &self,
        method: Method,
        url: Url,
        seen: Seen,
        body: &(impl Serialize + Sync),
    ) -> Result<Applied, FleetError> {
        let response = self.act(method, url, seen, Some(body)).await?;
        self.read_json(response).await
    }

    /// Asks what a change would come to; nothing is changed.
    pub(super) async fn plan(&self, url: Url, body: &(impl Serialize + Sync)) -> Result<Plan, FleetError> {
        let response = self.again(&self.http, || self.http.request(Method::POST, url.clone()).json(body)).await?;
        self.read_json(response).await
    }
}
