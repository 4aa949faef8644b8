//! `longshore prewarm`: has an edge, or nodes of the fleet, fetch images before anybody asks for them.

mod following;
mod progress;
mod report;

use std::io::stdout;

use clap::Args;
use jiff::Timestamp;
use longshore_client::{ClientError, ImageReference, NewPrewarm, Operation, OperationState};
use longshore_edge_cache::prewarm::WantedPlatform;
use longshore_service::{config::Duration as Period, error_text::with_sources};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    edge::{Connection, EdgeConnection},
    failure::Failure,
    fleet::{FleetConnection, FleetFormat, FleetPrewarm, FleetPrewarmArguments},
    output::{Format, write_json},
};
pub use following::{follow, interrupt};
use progress::Progress;
pub use report::{is_over, word as state_word};

/// `longshore prewarm`.
#[derive(Args)]
pub struct AnyPrewarmArguments {
    #[command(flatten)]
    edge: PrewarmArguments<EdgeConnection>,
    #[command(flatten)]
    fleet: FleetPrewarmArguments,
}

impl AnyPrewarmArguments {
    /// Asks the orchestrator where nodes of the fleet are meant, and else an edge.
    pub async fn run(self) -> Result<(), Failure> {
        if !self.fleet.is_meant() {
            return self.edge.run().await;
        }
        let PrewarmArguments { wish, detach, cancel, connection } = self.edge;
        if !wish.platforms.is_empty() {
            return Err(Failure::Usage("--platform is for edges; a node of the fleet gets what it runs".to_owned()));
        }
        let (format, plain_http, ca_file) = connection.for_another();
        let connection = FleetConnection::to(self.fleet.orchestrator(), plain_http, ca_file);
        let format = if format == Format::Json { FleetFormat::Json } else { FleetFormat::Table };
        let WishArguments { images, pin, deadline, .. } = wish;
        self.fleet.run(FleetPrewarm { images, pin, deadline, detach, cancel, connection, format }).await
    }
}

/// `longshore prewarm` at an edge, and `longshore node prewarm`.
#[derive(Args)]
pub struct PrewarmArguments<C: Connection> {
    #[command(flatten)]
    wish: WishArguments,
    /// Return once the edge has begun, and print the operation's id
    #[arg(long)]
    detach: bool,
    /// End an operation instead, by its id; what it has fetched and not pinned stays as long as there is room
    #[arg(long, value_name = "OPERATION", conflicts_with_all = ["images", "platforms", "pin", "deadline", "detach"])]
    cancel: Option<String>,
    #[command(flatten)]
    connection: C,
}

/// What is to be fetched.
#[derive(Args)]
pub struct WishArguments {
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
}

impl<C: Connection> PrewarmArguments<C> {
    /// Has images fetched, and waits for them. Interrupted, it leaves the edge to it, and says how to end that.
    pub async fn run(self) -> Result<(), Failure> {
        let Self { wish, detach, cancel, connection } = self;
        let edge = connection.edge();
        let client = edge.following_client()?;
        let failed = |error: ClientError| edge.told(&error);
        if let Some(id) = &cancel {
            let operation = client.cancel_operation(id).await.map_err(failed)?;
            return print(&edge, &operation, &format!("{} is told to end", operation.id));
        }
        let operation = client.prewarm(&wish.wish()?).await.map_err(failed)?;
        if detach {
            return print(&edge, &operation, &operation.id);
        }
        // Before it is known of which operation, there is nothing to say.
        let signals = signal(SignalKind::interrupt());
        let interruption = interrupted(&operation.id, &edge);
        let mut progress = Progress::begin(&operation);
        let followed = tokio::select! {
            () = interrupt(signals) => Err(interruption),
            followed = follow(&client, &edge, operation, |operation| {
                progress.show(operation);
                Ok(())
            }) => followed,
        };
        progress.end();
        let operation = followed?;
        let mut out = stdout().lock();
        match edge.output {
            Format::Table => report::write(&mut out, &operation)?,
            Format::Json => write_json(&mut out, &operation)?,
        }
        outcome(&operation)
    }
}

impl WishArguments {
    /// These images, for these platforms, as long as there is room.
    pub fn of(images: Vec<String>, platforms: Vec<String>) -> Self {
        Self { images, platforms, pin: None, deadline: None }
    }

    /// As it is sent.
    pub fn wish(&self) -> Result<NewPrewarm, Failure> {
        let now = Timestamp::now();
        for image in &self.images {
            let parsed = ImageReference::parse(image, true);
            parsed.map_err(|error| Failure::Usage(format!("{image:?} is no image: {}", with_sources(&error))))?;
        }
        for platform in &self.platforms {
            let parsed = platform.parse::<WantedPlatform>();
            parsed.map_err(|error| Failure::Usage(format!("--platform: {error}")))?;
        }
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
}

fn print(edge: &EdgeConnection, operation: &Operation, text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    let mut out = stdout().lock();
    match edge.output {
        Format::Table => writeln!(out, "{text}")?,
        Format::Json => write_json(&mut out, operation)?,
    }
    Ok(())
}

/// What is left to say.
fn interrupted(id: &str, edge: &EdgeConnection) -> Failure {
    let how = cancelling(id, edge);
    Failure::Interrupted(format!("interrupted; {} goes on with it, until it is told to end:\n  {how}", edge.cache()))
}

/// The command that ends an operation at an edge.
pub fn cancelling(id: &str, edge: &EdgeConnection) -> String {
    format!("longshore prewarm --cancel {id}{}", edge.flags())
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
    use crate::edge::Cache;

    #[test]
    fn whoever_interrupts_is_told_how_to_end_it() {
        let edge = EdgeConnection::to(Cache::Edge, "edge.example".to_owned(), true, Some("ca.pem".into()), Format::Table);
        let failure = interrupted("op_1", &edge).to_string();
        assert!(failure.contains("the edge goes on"), "{failure}");
        let how = "\n  longshore prewarm --cancel op_1 --at edge.example --plain-http --ca-file ca.pem";
        assert!(failure.ends_with(how), "{failure}");
    }

    #[test]
    fn what_is_no_image_or_no_platform_is_a_mistake_in_arguments() {
        let wish = |image: &str, platforms: &[&str]| {
            WishArguments::of(vec![image.to_owned()], platforms.iter().map(|&one| one.to_owned()).collect()).wish()
        };
        assert!(wish("localhost:5000/team/app:v1", &["linux/amd64", "linux/arm/v7"]).is_ok() && wish("alpine", &[]).is_ok());
        for image in ["", "x@sha256:c2e5", "a b", "UPPER", "a:"] {
            let failure = wish(image, &[]).expect_err("no image");
            assert!(matches!(&failure, Failure::Usage(why) if why.contains("is no image")), "{image}: {failure}");
        }
        assert!(matches!(wish("alpine", &["bogus"]), Err(Failure::Usage(why)) if why.contains("bogus")));
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
