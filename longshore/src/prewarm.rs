//! `longshore prewarm`: has an edge fetch images before anybody asks for them.

mod progress;
mod report;

use std::{
    io::{self, stdout},
    time::Duration,
};

use clap::Args;
use jiff::Timestamp;
use longshore_client::{ClientError, NewPrewarm, Operation, OperationState, RegistryClient};
use longshore_service::config::Duration as Period;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    edge::{EdgeConnection, told},
    failure::Failure,
    output::{Format, write_json},
};
use progress::Progress;

/// How often in a row it is tried again to ask an edge how far it is.
const MOST_FAILURES: u32 = 5;
/// How long it is waited before that.
const PAUSE: Duration = Duration::from_secs(1);

/// `longshore prewarm`.
#[derive(Args)]
pub struct PrewarmArguments {
    /// The images: `alpine:3.20`, `ghcr.io/org/app@sha256:…`; a host before them is an upstream's
    #[arg(required_unless_present = "cancel", value_name = "IMAGE")]
    images: Vec<String>,
    /// For which platforms: `linux/amd64`, `linux/arm/v7`; without any, for all that an image has
    #[arg(long = "platform", value_name = "PLATFORM", value_delimiter = ',')]
    platforms: Vec<String>,
    /// How long the edge keeps them whatever happens: `7d`, `12h`; without it, as long as it has room
    #[arg(long, value_name = "DURATION")]
    pin: Option<Period>,
    /// How long it may take: `30m`; what is not there by then has failed
    #[arg(long, value_name = "DURATION")]
    deadline: Option<Period>,
    /// Return once the edge has begun, and print the operation's id
    #[arg(long)]
    detach: bool,
    /// End an operation instead, by its id; what it has fetched and not pinned stays as long as there is room
    #[arg(long, value_name = "OPERATION", conflicts_with_all = ["images", "platforms", "pin", "deadline", "detach"])]
    cancel: Option<String>,
    #[command(flatten)]
    edge: EdgeConnection,
}

impl PrewarmArguments {
    /// Has images fetched, and waits for them. Interrupted, it leaves the edge to it, and says how to end that.
    pub async fn run(self) -> Result<(), Failure> {
        let client = self.edge.registry_client()?;
        let failed = |error: ClientError| told(&error);
        if let Some(id) = &self.cancel {
            let operation = client.cancel_operation(id).await.map_err(failed)?;
            return self.print(&operation, || format!("{} is told to end", operation.id));
        }
        let operation = client.prewarm(&self.wish(Timestamp::now())?).await.map_err(failed)?;
        if self.detach {
            return self.print(&operation, || operation.id.clone());
        }
        // Before it is known of which operation, there is nothing to say.
        let signals = signal(SignalKind::interrupt());
        let interruption = interrupted(&operation.id, &self.edge.flags());
        let mut progress = Progress::begin(&operation);
        let followed = tokio::select! {
            () = interrupt(signals) => Err(interruption),
            followed = follow(&client, operation, &mut progress) => followed,
        };
        progress.end();
        let operation = followed?;
        let mut out = stdout().lock();
        match self.edge.output {
            Format::Table => report::write(&mut out, &operation)?,
            Format::Json => write_json(&mut out, &operation)?,
        }
        outcome(&operation)
    }

    fn wish(&self, now: Timestamp) -> Result<NewPrewarm, Failure> {
        let deadline = self.deadline.map(|period| {
            let end = i64::try_from(period.as_milliseconds()).ok().and_then(|length| now.as_millisecond().checked_add(length));
            let end = end.and_then(|millisecond| Timestamp::from_millisecond(millisecond).ok());
            end.ok_or_else(|| Failure::Usage(format!("--deadline: {period} from now is past the end of the calendar")))
        });
        Ok(NewPrewarm {
            images: self.images.clone(),
            platforms: self.platforms.clone(),
            pin: self.pin.map(|pin| pin.to_string()),
            deadline: deadline.transpose()?,
        })
    }

    fn print(&self, operation: &Operation, text: impl FnOnce() -> String) -> Result<(), Failure> {
        use std::io::Write as _;
        let mut out = stdout().lock();
        match self.edge.output {
            Format::Table => writeln!(out, "{}", text())?,
            Format::Json => write_json(&mut out, operation)?,
        }
        Ok(())
    }
}

/// Waits until whoever waits does not want to any more.
async fn interrupt(signals: io::Result<Signal>) {
    match signals {
        Ok(mut signals) => {
            signals.recv().await;
        }
        // Then it ends the process as it does any other.
        Err(_) => std::future::pending().await,
    }
}

/// What is left to say; by the flags the same edge is reached, each after a space.
fn interrupted(id: &str, flags: &str) -> Failure {
    let how = format!("longshore prewarm --cancel {id}{flags}");
    Failure::Interrupted(format!("interrupted; the edge goes on with it, until it is told to end:\n  {how}"))
}

/// Shows an operation until it is over. Where the edge is lost on the way, it is asked again a few times.
async fn follow(client: &RegistryClient, begun: Operation, progress: &mut Progress) -> Result<Operation, Failure> {
    let id = begun.id.clone();
    let mut operation = begun;
    let mut failures = 0;
    while !operation.is_over() {
        let error = match client.follow_operation(&id).await {
            Err(error) => Some(error),
            Ok(mut events) => loop {
                match events.next().await {
                    Ok(Some(next)) => {
                        failures = 0;
                        progress.show(&next);
                        operation = next;
                    }
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                }
            },
        };
        if operation.is_over() {
            break;
        }
        failures += 1;
        if failures > MOST_FAILURES || error.as_ref().is_some_and(is_final) {
            let lost = || Failure::Failed("the edge does not tell how the operation ends".to_owned());
            return Err(error.map_or_else(lost, |error| told(&error)));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(operation)
}

/// Whether asking again is no use: the edge answered, and has no such operation, as after a new start.
fn is_final(error: &ClientError) -> bool {
    error.status().is_some_and(|status| status.is_client_error() && status.as_u16() != 429)
}

fn outcome(operation: &Operation) -> Result<(), Failure> {
    if operation.state == OperationState::Done {
        return Ok(());
    }
    let missing = operation.images.iter().filter(|image| image.state != OperationState::Done).count();
    let why = operation.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
    Err(Failure::Failed(format!("{missing} of {} images are not all there{why}", operation.images.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_interrupts_is_told_how_to_end_it() {
        let failure = interrupted("op_1", " --at edge.example --plain-http --ca-file ca.pem").to_string();
        assert!(failure.contains("the edge goes on"), "{failure}");
        let how = "\n  longshore prewarm --cancel op_1 --at edge.example --plain-http --ca-file ca.pem";
        assert!(failure.ends_with(how), "{failure}");
    }

    #[test]
    fn fails_where_an_image_did() {
        let operation = |state: &str, image: &str, error: Option<&str>| -> Operation {
            let counts = r#""bytesDone":0,"bytesTotal":0,"piecesDone":0,"piecesTotal":0"#;
            let error = error.map(|error| format!(r#","error":"{error}""#)).unwrap_or_default();
            let json = format!(
                r#"{{"id":"op_1","kind":"prewarm","state":"{state}","images":[{{"image":"a","state":"{image}",{counts}}}],
                "createdAt":"2026-06-01T12:00:00Z",{counts}{error}}}"#
            );
            serde_json::from_str(&json).expect("an operation")
        };
        assert!(outcome(&operation("done", "done", None)).is_ok());
        let failure = outcome(&operation("failed", "failed", None)).expect_err("a failure").to_string();
        assert_eq!(failure, "1 of 1 images are not all there");
        let failure = outcome(&operation("cancelled", "cancelled", Some("it was cancelled"))).expect_err("a failure");
        assert_eq!(failure.to_string(), "1 of 1 images are not all there: it was cancelled");
    }
}
