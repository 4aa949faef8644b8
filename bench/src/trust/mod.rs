//! What trust costs: our registry asking who calls, and what an image must show, beside itself asking nothing.
//!
//! Three of our own servers run at once and take turns, as entrants do in other cases: one that asks nobody, one that asks who calls, and
//! one that has a policy besides. Their rates are compared with the first that is named of a case.

mod evidence;
mod guarded;

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use crate::candidate::entrant::Entrant;
use crate::candidate::usage::{cpu_seconds, cpu_seconds_alone};
use crate::content::{Noise, Template};
use crate::error::BenchError;
use crate::image::Image;
use crate::load::connection::Connection;
use crate::load::drive::{Limits, drive};
use crate::load::push::{bare_request, manifest_path, push_blob, push_manifest};
use crate::load::work::Work;
use crate::options::Options;
use crate::report::record::{CaseRecord, PlayerRecord, TurnRecord};
use evidence::Signer;
use guarded::{Guard, Guarded};

/// How many manifests are asked for the first time in a turn, and how many tokens are shown for the first time.
const FIRSTS: u64 = 100;
const TOKENS: u64 = 2000;
const CONFIG_BYTES: u64 = 1500;

/// A server within a case, and what is asked of it.
struct Player<'a> {
    name: &'static str,
    server: &'a Guarded,
    work: Rc<Work>,
    record: PlayerRecord,
}

impl<'a> Player<'a> {
    fn new(name: &'static str, server: &'a Guarded, work: Work) -> Self {
        Self { name, server, work: Rc::new(work), record: PlayerRecord::new(name) }
    }

    /// One that asks for the same again and again.
    fn asking(name: &'static str, server: &'a Guarded, path: &str, authorization: Option<&str>) -> Self {
        Self::new(name, server, Work::Fetch { request: request(server, path, authorization) })
    }
}

fn request(server: &Guarded, path: &str, authorization: Option<&str>) -> Vec<u8> {
    bare_request("GET", path, &server.host(authorization))
}

/// Measures all of it.
pub async fn measure(
    longshore: &Entrant,
    options: &Options,
    disk: &Path,
    noise: &Rc<Noise>,
) -> Result<Vec<CaseRecord>, BenchError> {
    let folder = tempfile::Builder::new().prefix("trust-").tempdir_in(disk).map_err(BenchError::io("make a folder"))?;
    let signer = Signer::new(folder.path())?;
    let open = Guarded::start(longshore, folder.path(), Guard::Open).await?;
    let asks = Guarded::start(longshore, folder.path(), Guard::Accounts).await?;
    let strict = Guarded::start(longshore, folder.path(), Guard::Policy(signer.public_key())).await?;
    let firsts = FIRSTS * (u64::from(options.rounds()) + 1);
    let mut images = Vec::new();
    for server in [&open, &asks, &strict] {
        images.push(fill(server, firsts, noise).await?);
    }
    for image in &images[2] {
        signer.sign(&strict, image).await?;
    }
    let manifest = manifest_path(&images[0][0].tag);
    let mut records = Vec::new();

    let (bearer, basic) = (asks.bearer()?, asks.basic());
    let players = vec![
        Player::asking("open", &open, &manifest, None),
        Player::asking("bearer", &asks, &manifest, Some(&bearer)),
        Player::asking("basic", &asks, &manifest, Some(&basic)),
    ];
    records.push(compare("trust-get", "manifest GET by tag", 32, u64::MAX, players, options).await?);

    // What the decision takes of that: a registry that asks nobody reads the same bytes, and passes the token over.
    let players = vec![
        Player::asking("token passed over", &open, &manifest, Some(&bearer)),
        Player::asking("bearer", &asks, &manifest, Some(&bearer)),
    ];
    records.push(compare("trust-decision", "manifest GET by tag, the same request", 32, u64::MAX, players, options).await?);

    let strict_bearer = strict.bearer()?;
    let players = vec![
        Player::asking("bearer", &asks, &manifest, Some(&bearer)),
        Player::asking("policy", &strict, &manifest_path(&images[2][0].tag), Some(&strict_bearer)),
    ];
    records.push(compare("trust-verdict", "manifest GET by tag, judged before", 32, u64::MAX, players, options).await?);

    let first = |server: &Guarded, images: &[Image], authorization: Option<&str>| {
        let paths = images[1..].iter().map(|image| manifest_path(&image.tag));
        Work::series(paths.map(|path| request(server, &path, authorization)).collect())
    };
    let players = vec![
        Player::new("bearer", &asks, first(&asks, &images[1], Some(&bearer))),
        Player::new("policy", &strict, first(&strict, &images[2], Some(&strict_bearer))),
    ];
    // A connection each turn, and no more: it is what one pull waits for.
    records
        .push(compare("trust-verdict-first", "manifest GET by tag, the first of each", 1, FIRSTS - 1, players, options).await?);

    let players = vec![Player::asking("minted", &asks, guarded::TOKEN_PATH, Some(&basic))];
    records.push(compare("trust-token", "token for a robot's secret", 4, u64::MAX, players, options).await?);

    let tokens = asks.tokens(TOKENS * (u64::from(options.rounds()) + 1))?;
    let shown = tokens.iter().map(|token| request(&asks, "/v2/", Some(token))).collect();
    let players = vec![
        Player::asking("open", &open, "/v2/", None),
        Player::new("new token", &asks, Work::series(shown)),
        Player::asking("same token", &asks, "/v2/", Some(&bearer)),
    ];
    records.push(compare("trust-check", "GET /v2/", 32, TOKENS, players, options).await?);
    Ok(records)
}

/// Pushes as many images, each with a configuration of its own.
async fn fill(server: &Guarded, count: u64, noise: &Rc<Noise>) -> Result<Vec<Image>, BenchError> {
    let (mut connection, host) = (Connection::open(server.address()).await?, server.owner());
    let template = Rc::new(Template::new(noise, CONFIG_BYTES));
    let layer = template.stamp();
    push_blob(&mut connection, &host, &layer).await?;
    let mut images = Vec::new();
    for number in 0..=count {
        let image = Image::new(format!("v{number}"), template.stamp(), vec![layer.clone()]);
        push_blob(&mut connection, &host, &image.config).await?;
        push_manifest(&mut connection, &host, &image).await?;
        images.push(image);
    }
    Ok(images)
}

/// One case: a turn that does not count, then turn about.
async fn compare(
    name: &str,
    what: &str,
    clients: usize,
    operations: u64,
    mut players: Vec<Player<'_>>,
    options: &Options,
) -> Result<CaseRecord, BenchError> {
    let title = format!("{what}, {clients} client{}", if clients == 1 { "" } else { "s" });
    eprintln!("bench: {title}: {}", players.iter().map(|player| player.name).collect::<Vec<_>>().join(", "));
    for player in &players {
        player.turn(Limits { clients, time: options.time() / 3, operations, pace: None, seed: 0 }).await?;
    }
    for round in 0..options.rounds() {
        for player in &mut players {
            let record =
                player.turn(Limits { clients, time: options.time(), operations, pace: None, seed: u64::from(round) + 1 });
            let record = TurnRecord { round, ..record.await? };
            player.record.turns.push(record);
        }
        players.rotate_left(1);
    }
    // As they were at first, so that the first is what the others are compared with.
    let turned = usize::try_from(options.rounds()).unwrap_or_default() % players.len();
    players.rotate_right(turned);
    let entrants = players.into_iter().map(|player| player.record).collect();
    Ok(CaseRecord { name: name.to_owned(), title, clients, pace: None, entrants })
}

impl Player<'_> {
    async fn turn(&self, limits: Limits) -> Result<TurnRecord, BenchError> {
        let (generator, server) = (cpu_seconds_alone(std::process::id()), cpu_seconds(self.server.pid()));
        let turn = drive(&self.work, self.server.address(), limits).await?;
        let cpu = cpu_seconds(self.server.pid()) - server;
        Ok(TurnRecord::new(0, &turn, Some(cpu), cpu_seconds_alone(std::process::id()) - generator))
    }
}

/// How long a helper of ours may take.
const HELPER_LIMIT: Duration = Duration::from_secs(20);

/// What a program that should succeed prints; `input` is what it reads.
fn output_of(mut command: std::process::Command, input: &[u8]) -> Result<Vec<u8>, BenchError> {
    use std::io::Write as _;
    let words = format!("run {}", command.get_program().display());
    let mut run = || {
        let pipe = std::process::Stdio::piped;
        let mut child = command.stdin(pipe()).stdout(pipe()).stderr(pipe()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input)?;
        }
        child.wait_with_output()
    };
    let output = run().map_err(BenchError::io(words.clone()))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(BenchError::io(words)(std::io::Error::other(said)))
}
