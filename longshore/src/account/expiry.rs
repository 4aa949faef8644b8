use clap::Args;
use jiff::Timestamp;
use longshore_service::config::Duration;

use crate::failure::Failure;

/// When an account ends.
#[derive(Args)]
pub struct ExpiryArguments {
    /// How long the account lasts from now on: `90d`, `12h`; without it, until it is removed
    #[arg(long, value_name = "DURATION")]
    expires: Option<Duration>,
}

impl ExpiryArguments {
    /// The end of an account that is made at `now`, to the second.
    pub fn at(&self, now: Timestamp) -> Result<Option<Timestamp>, Failure> {
        let Some(lifetime) = self.expires else { return Ok(None) };
        let end = now.as_second().checked_add_unsigned(lifetime.get().as_secs());
        let end = end.and_then(|second| Timestamp::from_second(second).ok());
        end.map(Some).ok_or_else(|| Failure::Usage(format!("--expires: {lifetime} from now is past the end of the calendar")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_so_long_from_now() {
        let now: Timestamp = "2026-06-01T12:00:00.9Z".parse().expect("a time");
        let end = |text: &str| ExpiryArguments { expires: Some(text.parse().expect("a duration")) }.at(now);
        assert_eq!(end("90d").expect("a time"), "2026-08-30T12:00:00Z".parse().ok());
        assert!(matches!(end("99999999999d"), Err(Failure::Usage(_))));
        assert_eq!(ExpiryArguments { expires: None }.at(now).expect("no time"), None);
    }
}
