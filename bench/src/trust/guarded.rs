//! Our registry, asking more or less of its callers.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{HELPER_LIMIT, output_of};
use crate::candidate::entrant::{Entrant, Program};
use crate::candidate::process::{Process, await_answer, free_address};
use crate::error::BenchError;
use crate::load::push::REPOSITORY;

/// Where a robot gets a token to pull.
pub const TOKEN_PATH: &str = "/token?service=bench&scope=repository%3Abench%2Fapp%3Apull";
const PASSWORD: &str = "the-password-of-the-bench";
const ROBOT: &str = "node";

/// What a registry asks.
pub enum Guard<'a> {
    /// Nothing.
    Open,
    /// Who calls.
    Accounts,
    /// Who calls, and of an image a signature by this key.
    Policy(&'a str),
}

/// A registry of ours that answers.
pub struct Guarded {
    address: SocketAddr,
    process: Process,
    /// The robot's secret, where there is one.
    secret: Option<String>,
}

impl Guarded {
    /// Starts one with its data in a folder of its own within `folder`.
    pub async fn start(longshore: &Entrant, folder: &Path, guard: Guard<'_>) -> Result<Self, BenchError> {
        let Program::Longshore(program) = &longshore.program else {
            return Err(BenchError::Usage(format!("{} is not ours", longshore.name)));
        };
        let folder = tempfile::Builder::new().tempdir_in(folder).map_err(BenchError::io("make a folder"))?.keep();
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(BenchError::io(format!("write {}", path.display()))).map(|()| path)
        };
        let (address, at) = (free_address()?, folder.display());
        let mut config = format!(
            "[listen]\naddress = \"{address}\"\nadmin_address = \"off\"\n[storage]\nfolder = \"{at}/objects\"\n\
             [database]\nfile = \"{at}/registry.db\"\n"
        );
        if !matches!(guard, Guard::Open) {
            // For longer than a run.
            let words = "service = \"bench\"\ntoken_lifetime = \"1h\"";
            config = format!("{config}[auth]\nenabled = true\nadmin_password = \"{PASSWORD}\"\n{words}\n");
        }
        if let Guard::Policy(key) = guard {
            let document = format!(
                "[[key]]\nname = \"key\"\ntext = '''\n{key}'''\n[[policy]]\nname = \"bench\"\nrepositories = [\"**\"]\n\
                 [[policy.pull.require]]\nsignature = {{ key = \"key\" }}\n"
            );
            config = format!("{config}[policy]\nfile = \"{}\"\n", write("policy.toml", &document)?.display());
        }
        let mut command = Command::new(program);
        command.args(["registry", "serve", "--config"]).arg(write("config.toml", &config)?);
        let mut process = Process::spawn(&longshore.name, command, &folder.join("log"))?;
        await_answer(&longshore.name, address, Some(&mut process)).await?;
        let secret = if matches!(guard, Guard::Open) { None } else { Some(robot(program, address)?) };
        Ok(Self { address, process, secret })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The `Host` header's value of a request, and below it who asks.
    pub fn host(&self, authorization: Option<&str>) -> String {
        let address = self.address;
        authorization.map_or_else(|| address.to_string(), |shown| format!("{address}\r\nAuthorization: {shown}"))
    }

    /// The same, of whoever may push.
    pub fn owner(&self) -> String {
        self.host(self.secret.is_some().then(|| basic("admin", PASSWORD)).as_deref())
    }

    /// What the robot shows in place of a token.
    pub fn basic(&self) -> String {
        basic(ROBOT, self.secret.as_deref().unwrap_or_default())
    }

    /// A token that the robot shows.
    pub fn bearer(&self) -> Result<String, BenchError> {
        self.tokens(1)?.pop().ok_or(BenchError::Malformed("no token"))
    }

    /// As many different ones.
    pub fn tokens(&self, count: u64) -> Result<Vec<String>, BenchError> {
        let request = format!("GET {TOKEN_PATH} HTTP/1.0\r\nHost: {}\r\n\r\n", self.host(Some(&self.basic())));
        let ask = || {
            let mut stream = TcpStream::connect(self.address)?;
            stream.set_read_timeout(Some(HELPER_LIMIT))?;
            stream.write_all(request.as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let token = |answer: &str| {
            let (_, body) = answer.split_once("\r\n\r\n")?;
            let body: serde_json::Value = serde_json::from_str(body).ok()?;
            Some(format!("Bearer {}", body["token"].as_str()?))
        };
        let mut tokens = Vec::new();
        for _ in 0..count {
            let answer = ask().map_err(BenchError::io("ask for a token"))?;
            tokens.push(token(&answer).ok_or(BenchError::Malformed("no token"))?);
        }
        Ok(tokens)
    }
}

fn basic(name: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{secret}")))
}

/// Makes the robot that pulls; gives back its secret.
fn robot(program: &Path, address: SocketAddr) -> Result<String, BenchError> {
    let mut command = Command::new(program);
    command
        .args(["robot", "create", ROBOT, "--pull", REPOSITORY, "--username", "admin", "--registry"])
        .arg(format!("http://{address}"));
    command.env("LONGSHORE_REGISTRY_PASSWORD", PASSWORD);
    let printed = output_of(command, b"")?;
    Ok(String::from_utf8_lossy(&printed).trim().to_owned())
}
