//! Who makes a change. It is said once, where a request comes in, and is there wherever the change leaves an event, in whichever task
//! that is: whoever hands work to another task hands the author along.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use longshore_oci::Digest;
use longshore_service::request_id::RequestId;

/// A request, and whose it is as far as that is known.
#[derive(Debug)]
pub struct Author {
    address: IpAddr,
    request_id: RequestId,
    account: OnceLock<String>,
    digest: OnceLock<Digest>,
}

tokio::task_local! {
    static AUTHOR: Option<Arc<Author>>;
}

impl Author {
    /// Whoever sent this request from there.
    pub fn new(address: IpAddr, request_id: RequestId) -> Arc<Self> {
        Arc::new(Self { address, request_id, account: OnceLock::new(), digest: OnceLock::new() })
    }

    /// Whose work this is; `None` for what the registry does by itself.
    pub fn current() -> Option<Arc<Self>> {
        AUTHOR.try_with(Clone::clone).ok().flatten()
    }

    /// Work in the name of an author, or of none.
    pub fn scope<F: Future>(author: Option<Arc<Self>>, work: F) -> impl Future<Output = F::Output> {
        AUTHOR.scope(author, work)
    }

    /// Says which account the current author has.
    pub fn known_as(name: &str) {
        AUTHOR.try_with(|author| author.as_ref().map(|author| author.account.set(name.to_owned()))).ok();
    }

    /// Says which content the current author's request is about, where it named it otherwise.
    pub fn concerning(digest: &Digest) {
        AUTHOR.try_with(|author| author.as_ref().map(|author| author.digest.set(digest.clone()))).ok();
    }

    /// The content that it is about, if that was said.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.get()
    }

    /// The account; `None` where nobody said who it is, or could.
    pub fn account(&self) -> Option<&str> {
        self.account.get().map(String::as_str)
    }

    /// The client's address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The request's id.
    pub fn request_id(&self) -> &str {
        self.request_id.as_str()
    }
}
