use reqwest::Method;

use crate::{ClientError, RegistryClient, Secret};
use longshore_oci::Route;

/// What is kept of a login.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LoginSecret {
    /// The password itself.
    Password(Secret),
    /// A refresh token, which the registry gave in its place.
    Session(Secret),
}

impl RegistryClient {
    /// Shows the credentials to the registry, in one place and once, so that a wrong password counts as one guess there.
    ///
    /// Gives back the refresh token where the registry gives one, as it does to who shows what soon ends. A registry that asks
    /// nobody who they are takes any credentials.
    pub async fn log_in(&self) -> Result<Option<Secret>, ClientError> {
        let base = || self.request(Method::GET, self.url(&Route::Base));
        let response = self.answer(base()).await?;
        if let Some(challenge) = self.challenge(&response) {
            let (token, session) = self.fetch_session(&challenge).await?;
            let response = self.answer(base().bearer_auth(token.reveal())).await?;
            return self.accepted(response).await.map(|_| session);
        }
        let response = self.answer(self.signed(base(), None)).await?;
        self.accepted(response).await.map(|_| None)
    }
}
