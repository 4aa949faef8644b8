use std::io::{Write as _, stdout};

use clap::Args;
use jiff::Timestamp;
use longshore_client::{EdgePin, NewEdgePin, Pinned};
use longshore_service::config::Duration;

use super::{connection::Connection, pinned::pinned};
use crate::{
    failure::Failure,
    output::{ByteCount, Format, JsonArray},
};

/// Who pins where nobody says.
pub const OWNER: &str = "operator";

#[derive(Args)]
pub struct PinArguments<C: Connection> {
    #[command(flatten)]
    connection: C,
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

impl<C: Connection> PinArguments<C> {
    pub async fn run(self) -> Result<(), Failure> {
        let connection = self.connection.edge();
        let expires_at = self.lasts.map(|lasts| end(Timestamp::now(), lasts)).transpose()?;
        let (image, digest) = match pinned(&self.what)? {
            Pinned::Image(image) => (Some(image), None),
            Pinned::Blob(digest) => (None, Some(digest)),
        };
        let pin = NewEdgePin { owner: self.owner, reason: self.reason, image, platforms: self.platform, digest, expires_at };
        let pins = connection.client()?.pin(&pin).await.map_err(|error| connection.told(&error))?;
        let mut out = stdout();
        match connection.output {
            Format::Table => {
                let size = ByteCount(pins.iter().map(|pin| pin.size_bytes).sum());
                let until = expires_at.map(|end| format!(", until {end}")).unwrap_or_default();
                writeln!(out, "pinned {}, {} parts of {size}, for {}{until}", self.what, pins.len(), pin.owner)?;
                if let Some(missing) = missing(&pins) {
                    let then = match &pin.image {
                        Some(image) => format!("fetch it with `{}`", fetching(image, &pin.platforms, &connection.flags())),
                        None => "it comes when somebody pulls it".to_owned(),
                    };
                    writeln!(out, "{missing} is not here, and a pin fetches nothing: {then}")?;
                }
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

/// What of it is not at the edge: `27.0 MiB of it, in 6 parts,`; `None` where all is, or the edge does not say.
fn missing(pins: &[EdgePin]) -> Option<String> {
    let missing = pins.iter().filter_map(|pin| pin.size_bytes.checked_sub(pin.present_bytes?)).filter(|bytes| *bytes > 0);
    let parts = match missing.clone().count() {
        0 => return None,
        1 => "1 part".to_owned(),
        count => format!("{count} parts"),
    };
    Some(format!("{} of it, in {parts},", ByteCount(missing.sum())))
}

/// The command that has the edge fetch an image, which its pin then keeps.
fn fetching(image: &str, platforms: &[String], flags: &str) -> String {
    let platforms = if platforms.is_empty() { String::new() } else { format!(" --platform {}", platforms.join(",")) };
    format!("longshore prewarm {image}{platforms}{flags}")
}

/// When it ends that begins now, to the second.
fn end(now: Timestamp, lasts: Duration) -> Result<Timestamp, Failure> {
    if lasts.as_milliseconds() == 0 {
        return Err(Failure::Usage("--for must be longer than 0s".to_owned()));
    }
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
        assert!(end(now, Duration::seconds(0)).is_err_and(|failure| failure.to_string() == "--for must be longer than 0s"));
    }

    #[test]
    fn what_is_not_there_is_told_with_how_to_fetch_it() {
        let told = |present_bytes| EdgePin {
            owner: OWNER.to_owned(),
            reason: String::new(),
            image: Some("alpine:3".to_owned()),
            digest: longshore_oci::Digest::of(longshore_oci::Algorithm::Sha256, b""),
            size_bytes: 3 << 20,
            present_bytes,
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
        };
        let pin = |present_bytes| told(Some(present_bytes));
        assert_eq!(missing(&[told(None)]), None);
        assert_eq!(missing(&[pin(3 << 20), pin(3 << 20)]), None);
        assert_eq!(missing(&[pin(3 << 20), pin(1 << 20)]).as_deref(), Some("2.0 MiB of it, in 1 part,"));
        assert_eq!(missing(&[pin(0), pin(1 << 20)]).as_deref(), Some("5.0 MiB of it, in 2 parts,"));
        let platforms = ["linux/amd64".to_owned(), "linux/arm64".to_owned()];
        assert_eq!(fetching("alpine:3", &[], ""), "longshore prewarm alpine:3");
        assert_eq!(
            fetching("alpine:3", &platforms, " --at edge.example"),
            "longshore prewarm alpine:3 --platform linux/amd64,linux/arm64 --at edge.example"
        );
    }
}
