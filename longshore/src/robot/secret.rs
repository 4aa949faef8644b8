use longshore_client::{IssuedAccount, RegistryClient};

use crate::{account::issued::show, connection::ConnectionArguments, failure::Failure};

/// Shows a robot's secret, and how docker logs in with it.
pub fn show_secret(
    connection: &ConnectionArguments,
    client: &RegistryClient,
    issued: &IssuedAccount,
    words: &str,
) -> Result<(), Failure> {
    let (name, registry) = (&issued.account.name, client.registry().authority());
    if issued.secret.is_none() {
        return Err(Failure::Failed(format!("{words}, but {registry} did not say the secret; `longshore robot renew {name}`")));
    }
    let use_it = format!("docker login {registry} -u {name} --password-stdin");
    show(connection.output, issued, &format!("{words}; its secret is on stdout, and is shown this once\n  {use_it}"))
}
