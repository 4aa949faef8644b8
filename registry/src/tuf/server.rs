use http::StatusCode;
use longshore_service::fetch::{FetchError, fetch};
use sigstore_tuf::{Error, Repository, Result};

/// A TUF repository on a server.
pub struct Server {
    url: String,
}

impl Server {
    /// The one below a URL.
    pub fn new(url: &str) -> Self {
        Self { url: url.trim_end_matches('/').to_owned() }
    }

    /// What is at a path; `None` where nothing is. Stores of objects say 403 of that too.
    async fn get(&self, path: &str, most_bytes: u64) -> Result<Option<Vec<u8>>> {
        let limit_bytes = usize::try_from(most_bytes).unwrap_or(usize::MAX);
        match fetch(&format!("{}/{path}", self.url), None, limit_bytes).await {
            Ok(content) => Ok(Some(content)),
            Err(FetchError::Status { status: StatusCode::NOT_FOUND | StatusCode::FORBIDDEN, .. }) => Ok(None),
            Err(error) => Err(Error::transport(error.to_string())),
        }
    }
}

/// What [`Repository`] answers with.
type Answer<'a> = std::pin::Pin<Box<dyn Future<Output = Result<Option<Vec<u8>>>> + Send + 'a>>;

impl Repository for Server {
    fn fetch_metadata<'a>(&'a self, name: &'a str, most_bytes: u64) -> Answer<'a> {
        Box::pin(self.get(name, most_bytes))
    }

    fn fetch_target<'a>(&'a self, path: &'a str, most_bytes: u64) -> Answer<'a> {
        Box::pin(async move { self.get(&format!("targets/{path}"), most_bytes).await })
    }
}
