use std::marker::PhantomData;

use longshore_oci::AuditLine;
use reqwest::{Method, Url};
use serde::{Deserialize, de::DeserializeOwned};

use crate::link::next_page;
use crate::{Account, AppliedPolicy, ClientError, EdgeBlob, ImageSummary, Issuer, RegistryClient, Role};

/// A list that a registry hands out page by page; one page is in memory at a time.
#[derive(Debug)]
pub struct Pages<'a, T> {
    client: &'a RegistryClient,
    next: Option<Url>,
    items: PhantomData<fn() -> T>,
}

/// What a page of such items looks like in JSON.
pub trait Listed: Sized {
    /// The page's whole body.
    #[doc(hidden)]
    type Body: DeserializeOwned + Into<Vec<Self>>;
}

impl<'a, T: Listed> Pages<'a, T> {
    pub(crate) fn new(client: &'a RegistryClient, first: Url) -> Self {
        Self { client, next: Some(first), items: PhantomData }
    }

    /// The next page's items; `None` after the last page. A page may be empty though others follow. After an error the same
    /// page can be asked for again.
    pub async fn next_page(&mut self) -> Result<Option<Vec<T>>, ClientError> {
        let Some(url) = self.next.clone() else { return Ok(None) };
        let response = self.client.send(self.client.request(Method::GET, url.clone())).await?;
        let next = next_page(&url, response.headers()).map_err(|reason| self.client.malformed(reason))?;
        let body: T::Body = self.client.read_json(response).await?;
        self.next = next;
        Ok(Some(body.into()))
    }
}

/// A page of `GET /v2/_longshore/images`.
#[derive(Deserialize)]
pub struct ImagesBody {
    images: Vec<ImageSummary>,
}

impl Listed for ImageSummary {
    type Body = ImagesBody;
}

impl From<ImagesBody> for Vec<ImageSummary> {
    fn from(body: ImagesBody) -> Self {
        body.images
    }
}

/// A page of `GET /v2/<name>/tags/list`; some registries write `null` for no tags.
#[derive(Deserialize)]
pub struct TagsBody {
    tags: Option<Vec<String>>,
}

impl Listed for String {
    type Body = TagsBody;
}

impl From<TagsBody> for Vec<String> {
    fn from(body: TagsBody) -> Self {
        body.tags.unwrap_or_default()
    }
}

/// A page of `GET /v2/_longshore/accounts`.
#[derive(Deserialize)]
pub struct AccountsBody {
    accounts: Vec<Account>,
}

impl Listed for Account {
    type Body = AccountsBody;
}

impl From<AccountsBody> for Vec<Account> {
    fn from(body: AccountsBody) -> Self {
        body.accounts
    }
}

/// A page of `GET /v2/_longshore/roles`.
#[derive(Deserialize)]
pub struct RolesBody {
    roles: Vec<Role>,
}

impl Listed for Role {
    type Body = RolesBody;
}

impl From<RolesBody> for Vec<Role> {
    fn from(body: RolesBody) -> Self {
        body.roles
    }
}

/// A page of `GET /v2/_longshore/issuers`.
#[derive(Deserialize)]
pub struct IssuersBody {
    issuers: Vec<Issuer>,
}

impl Listed for Issuer {
    type Body = IssuersBody;
}

impl From<IssuersBody> for Vec<Issuer> {
    fn from(body: IssuersBody) -> Self {
        body.issuers
    }
}

/// A page of `GET /v2/_longshore/policies`.
#[derive(Deserialize)]
pub struct PoliciesBody {
    policies: Vec<AppliedPolicy>,
}

impl Listed for AppliedPolicy {
    type Body = PoliciesBody;
}

impl From<PoliciesBody> for Vec<AppliedPolicy> {
    fn from(body: PoliciesBody) -> Self {
        body.policies
    }
}

/// A page of `GET /v2/_longshore/audit`.
#[derive(Deserialize)]
pub struct AuditBody {
    lines: Vec<AuditLine>,
}

impl Listed for AuditLine {
    type Body = AuditBody;
}

impl From<AuditBody> for Vec<AuditLine> {
    fn from(body: AuditBody) -> Self {
        body.lines
    }
}

/// A page of `GET /v2/_longshore/edge/blobs`.
#[derive(Deserialize)]
pub struct EdgeBlobsBody {
    blobs: Vec<EdgeBlob>,
}

impl Listed for EdgeBlob {
    type Body = EdgeBlobsBody;
}

impl From<EdgeBlobsBody> for Vec<EdgeBlob> {
    fn from(body: EdgeBlobsBody) -> Self {
        body.blobs
    }
}
