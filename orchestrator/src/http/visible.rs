//! What a caller may know of.

use longshore_fleet::Name;

use super::Call;
use crate::{access::Right, error::Error, orchestrator::Orchestrator};

/// What was looked up, for a caller who may do something with what is in its namespace.
///
/// Whoever may see nothing at all is not told whether it is there; and where that can't be found out, nobody is told that they may not.
pub async fn visible<B, T>(
    orchestrator: &Orchestrator,
    call: &Call<B>,
    right: Right,
    look_up: impl Future<Output = Result<T, Error>>,
    namespace: impl Fn(&T) -> Option<&Name>,
) -> Result<T, Error> {
    if !call.caller.has_token() {
        orchestrator.access.require(&call.caller, right, None)?;
    }
    let found = look_up.await?;
    orchestrator.access.require(&call.caller, right, namespace(&found))?;
    Ok(found)
}
