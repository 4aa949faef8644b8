//! What of refusals is noted in the audit log: changes that were refused, and whoever was not let in.

use std::net::IpAddr;

use http::{Method, request::Parts};
use longshore_service::request_id::RequestId;

use super::refusal;
use crate::{
    error::Error,
    forwarding::told_address,
    orchestrator::{Orchestrator, now},
    state::AuditLine,
};

/// What was asked, for as long as it is not known whether it is refused.
pub(super) struct Asked {
    request: String,
    is_read: bool,
    address: String,
    id: RequestId,
}

impl Asked {
    pub(super) fn new(parts: &Parts, client: IpAddr, id: &RequestId) -> Self {
        let is_read = parts.method == Method::GET || parts.method == Method::HEAD;
        Self {
            request: format!("{} {}", parts.method, parts.uri.path()),
            is_read,
            address: told_address(&parts.headers, client),
            id: id.clone(),
        }
    }

    /// It was refused.
    pub(super) fn note(self, orchestrator: &Orchestrator, account: Option<&str>, error: &Error) {
        let code = refusal::code(error);
        let is_unasked = !matches!(code.status(), 401 | 403) && (self.is_read || code.status() >= 500);
        // Nodes come again and again until a leader is found.
        if is_unasked || self.request.contains("/agent/v1/") && matches!(code.status(), 409 | 421) {
            return;
        }
        orchestrator.audit.note(AuditLine {
            at: now(),
            account: account.unwrap_or("anonymous").to_owned(),
            address: Some(self.address),
            subject: self.request.split(' ').nth(1).unwrap_or_default().to_owned(),
            request: self.request,
            outcome: code.as_str().to_owned(),
            request_id: Some(self.id.to_string()),
        });
    }
}
