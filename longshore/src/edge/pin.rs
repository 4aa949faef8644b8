use std::io::{Write as _, stdout};

use clap::Args;
use jiff::Timestamp;
use longshore_client::{NewEdgePin, Pinned};
use longshore_service::config::Duration;

use super::{
    connection::{EdgeConnection, told},
    pinned::pinned,
};
use crate::{
    failure::Failure,
    output::{ByteCount, Format, JsonArray},
};

/// Who pins where nobody says.
pub const OWNER: &str = "operator";

#[derive(Args)]
pub struct PinArguments {
    #[command(flatten)]
    connection: EdgeConnection,
    /// What to keep: an image, `alpine:3.20` or `docker.io/alpine:3.20`, or a blob that is there by its digest
    #[arg(value_name = "IMAGE|DIGEST")]
    what: String,
    /// How long: `7d`, `12h`; without it, until it is unpinned
    #[arg(long = "for", value_name = "DURATION")]
    lasts: Option<Duration>,
    /// Who wants it; each owner's pins are their own
    #[arg(long, value_name = "NAME", default_value = OWNER)]
    owner: String,
    /// What for, for whoever wonders
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Of an image for several platforms, this one alone: `linux/amd64`; can be given more than once
    #[arg(long, value_name = "PLATFORM")]
    platform: Vec<String>,
}

impl PinArguments {
    pub async fn run(self) -> Result<(), Failure> {
        let expires_at = self.lasts.map(|lasts| end(Timestamp::now(), lasts)).transpose()?;
        let (image, digest) = match pinned(&self.what) {
            Pinned::Image(image) => (Some(image), None),
            Pinned::Blob(digest) => (None, Some(digest)),
        };
        let pin = NewEdgePin { owner: self.owner, reason: self.reason, image, platforms: self.platform, digest, expires_at };
        let pins = self.connection.client()?.pin(&pin).await.map_err(|error| told(&error))?;
        let mut out = stdout();
        match self.connection.output {
            Format::Table => {
                let size = ByteCount(pins.iter().map(|pin| pin.size_bytes).sum());
                let until = expires_at.map(|end| format!(", until {end}")).unwrap_or_default();
                writeln!(out, "pinned {}, {} parts of {size}, for {}{until}", self.what, pins.len(), pin.owner)?;
            }
            Format::Json => {
                let mut array = JsonArray::default();
                array.write(&mut out, &pins)?;
                array.finish(&mut out)?;
            }
        }
        Ok(())
    }
}

/// When it ends that begins now, to the second.
fn end(now: Timestamp, lasts: Duration) -> Result<Timestamp, Failure> {
    let end = now.as_second().checked_add_unsigned(lasts.get().as_secs());
    let end = end.and_then(|second| Timestamp::from_second(second).ok());
    end.ok_or_else(|| Failure::Usage(format!("--for: {lasts} from now is past the end of the calendar")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lasts_so_long_from_now() {
        let now: Timestamp = "2026-06-01T12:00:00.9Z".parse().expect("a time");
        assert_eq!(end(now, Duration::days(7)).ok(), "2026-06-08T12:00:00Z".parse().ok());
        assert!(matches!(end(now, Duration::days(99_999_999_999)), Err(Failure::Usage(_))));
    }
}
