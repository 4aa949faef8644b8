//! Logins that clients have put to an upstream by way of the edge: those that fail are counted.

use std::{net::IpAddr, sync::Arc};

use http::StatusCode;
use longshore_oci::{RepositoryName, Route};

use super::{Call, Outcome};
use crate::{
    edge::Edge,
    error::Error,
    grants::{Grants, Verdict},
};

/// What a request is for, as far as a login goes.
pub struct Purpose {
    /// Where it comes from.
    pub from: IpAddr,
    /// Whether it is for a token, which is had for a name and a secret alone.
    pub is_token: bool,
    /// The repository, as the upstream calls it.
    pub repository: Option<RepositoryName>,
}

impl Purpose {
    /// Of a request for a route.
    pub fn new(from: IpAddr, route: &Route, repository: Option<&RepositoryName>) -> Self {
        Self { from, is_token: *route == Route::Token, repository: repository.cloned() }
    }
}

/// Has a request done, and its client's login counted where it fails. Where too many have failed it is not done. A client that hangs up does
/// not end the work where its login may yet fail.
pub async fn counted<W>(edge: &Edge, call: &Arc<Call>, purpose: Purpose, work: W) -> Outcome
where
    W: Future<Output = Outcome> + Send + 'static,
{
    let Purpose { from, is_token, repository } = purpose;
    let Some(trying) = edge.grants.log_in(&call.upstream, &call.client, from).await? else { return work.await };
    let (grants, call) = (edge.grants.clone(), call.clone());
    trying.put(&edge.tasks, work, move |outcome| verdict(&grants, &call, is_token, repository.as_ref(), outcome)).await
}

fn verdict(grants: &Grants, call: &Call, is_token: bool, repository: Option<&RepositoryName>, outcome: &Outcome) -> Verdict {
    match outcome {
        Err(error) if is_unauthorized(error) => Verdict::Wrong,
        Ok(_) if is_token => Verdict::Right,
        // What anybody may have says nothing of who asks.
        Ok(_) if repository.is_some_and(|name| grants.has_let_in(&call.upstream, name, &call.client)) => Verdict::Right,
        _ => Verdict::Unknown,
    }
}

fn is_unauthorized(error: &Error) -> bool {
    let status = match error {
        Error::Denied(denied) => denied.status(),
        Error::Refused { denied, .. } => denied.status(),
        _ => None,
    };
    status == Some(StatusCode::UNAUTHORIZED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::About, grants::Denied, upstream::UpstreamError};

    #[test]
    fn a_login_fails_where_the_upstream_says_so() {
        let refused = |status| {
            let (errors, retry_after, challenge) = (Vec::new(), None, None);
            Denied::Upstream(UpstreamError::Refused { upstream: "up".into(), status, errors, retry_after, challenge })
        };
        for (status, is_wrong) in [
            (StatusCode::UNAUTHORIZED, true),
            (StatusCode::FORBIDDEN, false),
            (StatusCode::NOT_FOUND, false),
            (StatusCode::TOO_MANY_REQUESTS, false),
            (StatusCode::SERVICE_UNAVAILABLE, false),
        ] {
            let error = Error::Denied(refused(status));
            assert_eq!(
                (is_unauthorized(&error), is_unauthorized(&error.about(About::Upstream))),
                (is_wrong, is_wrong),
                "{status}"
            );
        }
        assert!(!is_unauthorized(&Error::Overloaded));
    }
}
