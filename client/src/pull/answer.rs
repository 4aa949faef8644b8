use bytes::Bytes;
use reqwest::header::{HeaderMap, SET_COOKIE};
use reqwest::{Response, StatusCode};

use crate::{ClientError, RegistryUrl};

/// What a registry, or the server that it sends its callers to, answers; its body is read as it is asked for.
#[derive(Debug)]
pub struct PullAnswer {
    /// 200, 206 or 304.
    pub status: StatusCode,
    /// Its headers, but for cookies.
    pub headers: HeaderMap,
    place: RegistryUrl,
    response: Response,
}

impl PullAnswer {
    pub(super) fn of(place: RegistryUrl, mut response: Response) -> Self {
        let mut headers = std::mem::take(response.headers_mut());
        headers.remove(SET_COOKIE);
        Self { status: response.status(), headers, place, response }
    }

    /// Who sends it.
    pub fn place(&self) -> &RegistryUrl {
        &self.place
    }

    /// The next bytes of the body; `None` at its end. One that is shorter than was announced is an error.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        let chunk = self.response.chunk().await;
        chunk.map_err(|error| ClientError::unreachable(&self.place, error.without_url()))
    }
}
