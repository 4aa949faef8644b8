//! `GET /v2/_longshore/audit/head`: where the audit log begins and ends, signed. Who keeps it can show a later rewriting.

use jiff::Timestamp;
use longshore_oci::AuditVoucher;

use super::{Outcome, reply};
use crate::{error::Error, registry::Registry};

pub async fn audit_head(registry: &Registry) -> Outcome {
    if registry.audit.is_none() {
        return Err(Error::AuditOff);
    }
    let mut head = registry.state.audit_head().await?;
    // What is vouched for must not be undone by a power failure.
    registry.state.sync().await?;
    if let Some(key) = registry.keys.current() {
        head.signature = Some(key.sign(AuditVoucher::KIND, &AuditVoucher::of(&head, Timestamp::now().as_second())));
    }
    Ok(reply::json(&head))
}
