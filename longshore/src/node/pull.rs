mod progress;
mod share;

use std::{
    future::Future,
    io::{Write as _, stdout},
    time::Duration,
};

use clap::Args;
use longshore_client::{Operation, OperationState, RegistryClient};
use longshore_oci::Platform;
use tokio::signal::unix::{SignalKind, signal};

use super::connection::NodeConnection;
use crate::{
    edge::{Connection as _, EdgeConnection},
    failure::Failure,
    output::{ByteCount, Format, printable, write_json},
    prewarm::{WishArguments, cancelling, follow, interrupt, is_over, state_word},
};
use progress::Progress;

/// How long a node may take to hear that the work is to end, before whoever waits for it ends all the same.
const CANCEL_PATIENCE: Duration = Duration::from_secs(5);
/// Stands for every platform that an image has.
const ALL: &str = "all";

/// `longshore node pull`.
#[derive(Args)]
pub struct PullArguments {
    /// The images, named as for the runtime: `localhost:5000/alpine`, `registry.example.org/team/app@sha256:…`; without a host,
    /// of the node's default upstream
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
    /// For which platforms: `linux/amd64`, `linux/arm/v7`, or `all` that an image has; without any, for that of this machine
    #[arg(long = "platform", value_name = "PLATFORM", value_delimiter = ',')]
    platforms: Vec<String>,
    #[command(flatten)]
    connection: NodeConnection,
}

impl PullArguments {
    /// Has a node get images, and waits for them. Interrupted, it ends that.
    pub async fn run(self) -> Result<(), Failure> {
        let connection = self.connection.edge();
        let client = connection.following_client()?;
        let wish = WishArguments::of(self.images, platforms(self.platforms)?).wish()?;
        // Before the node is asked: from then on there is something to end.
        let interruption = interrupt(signal(SignalKind::interrupt()));
        let begun = client.prewarm(&wish).await.map_err(|error| connection.told(&error))?;
        let mut progress = Progress::begin(connection.output);
        let done = end_on_interrupt(&client, &connection, begun, &mut progress, interruption).await;
        progress.end();
        let operation = done?;
        let mut out = stdout().lock();
        match connection.output {
            Format::Json => write_json(&mut out, &operation)?,
            // Of what is not known the failure tells all there is.
            Format::Table if operation.blobs.is_empty() && operation.state != OperationState::Done => {}
            Format::Table => writeln!(out, "{}", summary(&operation))?,
        }
        outcome(&operation)
    }
}

/// As the node takes them.
fn platforms(named: Vec<String>) -> Result<Vec<String>, Failure> {
    match named.as_slice() {
        [] => Ok(vec![own_platform()]),
        [one] if one == ALL => Ok(Vec::new()),
        several if several.iter().any(|one| one == ALL) => Err(Failure::Usage("--platform: all is for all by itself".to_owned())),
        _ => Ok(named),
    }
}

/// That of this machine; what a container runtime would pull for it.
fn own_platform() -> String {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    Platform { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: None, os_version: None }.to_string()
}

/// Shows the work until it is over, or has it ended by whoever waits.
async fn end_on_interrupt(
    client: &RegistryClient,
    connection: &EdgeConnection,
    begun: Operation,
    progress: &mut Progress,
    interruption: impl Future<Output = ()>,
) -> Result<Operation, Failure> {
    let id = begun.id.clone();
    progress.show(&begun)?;
    tokio::select! {
        followed = follow(client, connection, begun, |operation| progress.show(operation)) => followed,
        () = interruption => {
            let ended = tokio::time::timeout(CANCEL_PATIENCE, client.cancel_operation(&id)).await;
            let how = cancelling(&id, connection);
            Err(Failure::Interrupted(match ended {
                Ok(Ok(_)) => "interrupted, and ended; what has come stays as long as there is room".to_owned(),
                Ok(Err(error)) => format!("interrupted, but the node goes on: {}; end it with\n  {how}", connection.told(&error)),
                Err(_) => format!("interrupted, but the node did not answer; it goes on until it is told to end:\n  {how}"),
            }))
        }
    }
}

/// What came of it all, in a line.
fn summary(operation: &Operation) -> String {
    let images = match operation.images.as_slice() {
        [one] => format!("{}: {}", printable(&one.image), state_word(one.state)),
        several => {
            let done = several.iter().filter(|image| image.state == OperationState::Done).count();
            format!("{done} of {} images", several.len())
        }
    };
    let share = share::of(operation.here_bytes, operation.supplied);
    let size = match operation.state {
        OperationState::Done => ByteCount(operation.bytes_total).to_string(),
        // From whom it came is said of what has come.
        _ => format!("{} of {} are here", ByteCount(operation.bytes_done), ByteCount(operation.bytes_total)),
    };
    format!("{images}, {size}   {share}")
}

fn outcome(operation: &Operation) -> Result<(), Failure> {
    if operation.state == OperationState::Done {
        return Ok(());
    }
    let missing = operation.images.iter().filter(|image| image.state != OperationState::Done && is_over(image));
    let told = missing.map(|image| {
        let why = image.error.as_deref().or(operation.error.as_deref()).unwrap_or(state_word(image.state));
        format!("{}: {}", printable(&image.image), printable(why))
    });
    let told: Vec<_> = told.collect();
    Err(Failure::Failed(if told.is_empty() { "it is not all there".to_owned() } else { told.join("\n  ") }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_platform_is_this_machines_where_none_is_named() {
        let of = |named: &[&str]| platforms(named.iter().map(|&one| one.to_owned()).collect());
        assert!(of(&[]).is_ok_and(|own| own.len() == 1 && own[0].starts_with("linux/") && !own[0].contains("x86_64")));
        assert_eq!(of(&["all"]).ok(), Some(vec![]));
        assert_eq!(of(&["linux/arm/v7"]).ok(), Some(vec!["linux/arm/v7".to_owned()]));
        assert!(of(&["linux/amd64", "all"]).is_err());
    }

    fn operation(state: &str, error: &str) -> Operation {
        let counts = r#""bytesDone":0,"bytesTotal":3774873,"piecesDone":0,"piecesTotal":4"#;
        let error = if error.is_empty() { String::new() } else { format!(r#","error":"{error}""#) };
        let json = format!(
            r#"{{"id":"op_1","kind":"prewarm","state":"{state}","images":[{{"image":"a","state":"{state}",{counts}{error}}}],
            "createdAt":"2026-06-01T12:00:00Z",{counts},"neighbourBytes":97,"registryBytes":3}}"#
        );
        serde_json::from_str(&json).expect("an operation")
    }

    #[test]
    fn what_came_of_it_is_a_line() {
        let done = operation("done", "");
        assert!(outcome(&done).is_ok());
        assert_eq!(summary(&done), "a: done, 3.6 MiB   neighbours 97%  edge 0%  registry 3%");
        let failed = outcome(&operation("failed", "no upstream is called x")).expect_err("a failure").to_string();
        assert_eq!(failed, "a: no upstream is called x");
        let part = Operation { bytes_done: 1 << 20, ..operation("failed", "the disk is full") };
        assert_eq!(summary(&part), "a: failed, 1.0 MiB of 3.6 MiB are here   neighbours 97%  edge 0%  registry 3%");
    }
}
