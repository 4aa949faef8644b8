//! Callers of a registry and of an orchestrator: what the command line uses, and the daemons.
//!
//! A [`RegistryClient`] speaks the OCI distribution API and our extension to it. It follows no redirect and no page link away
//! from the registry it was made for, and gets tokens from that registry alone, so credentials go nowhere else; every wait
//! has a limit; every body is read up to a bound; and a manifest's bytes are handed out only when their digest is right. A
//! refusal becomes a [`ClientError`] that keeps the registry's own words.
//!
//! A [`PullClient`] is for whoever passes answers on, as a cache does: it asks any registry, hands out what comes as it comes, and
//! goes where the registry sends it, without credentials wherever that is another server.
//!
//! A [`FleetClient`] speaks the orchestrator's API. What it changes is named by an id of its own making, so that a request that is
//! sent again, as when the connection broke off, is the same act; its credentials are those of the registry where the orchestrator
//! has its callers get tokens.
//!
//! A [`CredentialStore`] is where docker keeps its logins, and where ours are kept beside them; [`CertificateFolders`] are where
//! it looks for the certificates of registries.

mod account;
mod audit;
mod certificate_folders;
mod challenge;
mod client;
mod credential_store;
mod credentials;
mod docker_hub;
mod edge;
mod elsewhere;
mod error;
mod fault;
mod fleet;
mod image;
mod image_reference;
mod issuer;
mod layer;
mod link;
mod login;
mod manifest;
mod operation;
mod page;
mod policy;
mod pull;
mod reach;
mod refusal;
mod registry_url;
mod retry_after;
mod role;
mod secret;
mod sse;
mod swarm;
mod this_machine;
mod token;
mod transport;
mod verdict;

pub use account::{Account, AccountChange, AccountKind, IssuedAccount, NewAccount};
pub use audit::{AuditEntry, AuditFilter};
pub use certificate_folders::CertificateFolders;
pub use client::RegistryClient;
pub use credential_store::{CredentialStore, CredentialStoreError, KeptIn};
pub use credentials::Credentials;
pub use edge::{
    EdgeBlob, EdgeClient, EdgeDisk, EdgePause, EdgePin, EdgePinOwner, EdgeScrub, EdgeStatus, EdgeUpstream, NewEdgePin, Pinned,
};
pub use error::ClientError;
pub use fault::Fault;
pub use fleet::{
    FleetClient, FleetError, FleetOptions, FleetPages, KnownLogin, Logs, LogsWish, Patience, PodFilter, Terms, Watch,
    WatchFilter, Workload, WorkloadFilter,
};
pub use image::{BlobDetail, ImageDetail, ImageSummary, ManifestDetail};
pub use image_reference::{ImageReference, InvalidImageReference};
pub use issuer::{CheckedToken, ClaimRule, Issuer, IssuerTrust};
pub use layer::{EdgeTransfer, Layer, LayerChanges, LayerPlace, LayerState, SuppliedBytes};
pub use login::LoginSecret;
pub use manifest::{FetchedManifest, ManifestHead};
pub use operation::{NewPrewarm, Operation, OperationBlob, OperationEvents, OperationImage, OperationState};
pub use page::Pages;
pub use policy::{AppliedPolicy, PolicySummary, PolicyTest, Seen, Standing, TestReason, TestSubjects, TestedImage, TestedPlace};
pub use pull::{PullAnswer, PullClient, PullRequest, Shown, pseudonym};
pub use reach::Reach;
pub use refusal::Refusal;
pub use registry_url::{InvalidRegistryUrl, RegistryUrl};
pub use role::{Action, Grant, NewRole, Role};
pub use secret::Secret;
pub use swarm::{SwarmBan, SwarmDownload, SwarmLocality, SwarmPeer, SwarmRecord, SwarmStatus, SwarmTracker};
pub use this_machine::{is_same_port_here, port_here};
pub use transport::{ClientCertificateFiles, ClientOptions};
pub use verdict::{PolicyVerdict, PullVerdict, RequirementVerdict};
