use longshore_client::{ClientError, Issuer, IssuerTrust, RegistryClient};

use crate::{connection::explained, failure::Failure};

/// How often a change is tried that others come before.
const MOST_ATTEMPTS: usize = 5;

/// Changes an issuer as it is now; where somebody else changes it meanwhile, as it is after that. Where `change` says `false`
/// nothing is to be done.
pub async fn change(
    client: &RegistryClient,
    name: &str,
    mut change: impl FnMut(&mut IssuerTrust) -> Result<bool, Failure>,
) -> Result<Issuer, Failure> {
    let mut attempt = 1;
    loop {
        let mut issuer = client.issuer(name).await.map_err(|error| explained(&error))?;
        if !change(&mut issuer.trust)? {
            return Ok(issuer);
        }
        match client.replace_issuer(name, issuer.revision, &issuer.trust).await {
            Err(error) if is_overtaken(&error) && attempt < MOST_ATTEMPTS => attempt += 1,
            outcome => return outcome.map_err(|error| explained(&error)),
        }
    }
}

/// Whether it was for somebody else's change that ours was refused.
fn is_overtaken(error: &ClientError) -> bool {
    error.status().is_some_and(|status| status.as_u16() == 412)
}
